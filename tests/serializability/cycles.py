"""Cycles in a graph: strongly connected components (Tarjan, SIAM J. Comput. 1, 1972), and a shortest cycle in one."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence

Graph = Mapping[str, Collection[str]]
"""For each node those that its edges lead to; a node without edges may be left out."""


def components(graph: Graph) -> list[list[str]]:
    """The strongly connected components of two nodes or more. Without recursion: a path may be thousands long."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []

    def enter(node: str) -> tuple[str, Iterator[str]]:
        index[node] = low[node] = len(index)
        path.append(node)
        on_path.add(node)
        return node, iter(graph.get(node, ()))

    def leave(node: str) -> None:
        if low[node] != index[node]:
            return
        component = path[path.index(node, max(0, len(path) - len(on_path))) :]
        del path[-len(component) :]
        on_path.difference_update(component)
        if len(component) > 1:
            found.append(component)

    for root in graph:
        work = [] if root in index else [enter(root)]
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    work.append(enter(target))
                    break
                if target in on_path:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                leave(node)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return found


def shortest_path(graph: Graph, start: str, goal: str) -> list[str] | None:
    """The nodes of a shortest path of one edge or more, both ends included; None where there is none."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in graph.get(node, ()):
            if target not in before:
                before[target] = node
                queue.append(target)
            if target == goal:
                return _walk_back(before, start, goal)
    return None


def shortest_cycle(graph: Graph, nodes: Sequence[str]) -> list[str]:
    """The nodes of a shortest cycle through one of `nodes`, the first one again at the end; one must be there."""
    cycles = (shortest_path(graph, node, node) for node in nodes)
    return min((cycle for cycle in cycles if cycle is not None), key=len)


def within(graph: Graph, nodes: Collection[str]) -> dict[str, list[str]]:
    """The part of a graph that these nodes are."""
    chosen = set(nodes)
    return {node: [target for target in graph.get(node, ()) if target in chosen] for node in nodes}


def _walk_back(before: Mapping[str, str], start: str, goal: str) -> list[str]:
    path = [goal, before[goal]]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]
