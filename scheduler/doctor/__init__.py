"""The doctor: looks at a live deployment, says what is wrong and what to do, and mends what can be mended safely.

Each file looks at one subject. What can be told from a few facts is a pure function of them; what has to be looked for
is read in bounded steps, and judged by scripts, each thing at one moment: what is on its way is in its place.
"""
