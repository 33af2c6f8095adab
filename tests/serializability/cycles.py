"""Cycles in a graph: strongly connected components (Tarjan, SIAM J. Comput. 1, 1972), and a shortest cycle in one."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence

MOST_TRIED = 100
"""Where a search for something short begins at most: what is broken everywhere must be told of in time too."""

Graph = Mapping[str, Collection[str]]
"""For each node those that its edges lead to; a node without edges may be left out."""


def components(graph: Graph) -> list[list[str]]:
    """The strongly connected components of two nodes or more."""
    search = _Search(graph)
    for root in graph:
        search.go(root)
    return search.found


class _Search:
    """Tarjan's walk in depth. Without recursion: a path may be thousands long."""

    def __init__(self, graph: Graph) -> None:
        self.found: list[list[str]] = []
        self._graph = graph
        self._index: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._path: list[str] = []
        self._on_path: set[str] = set()

    def go(self, root: str) -> None:
        """Walk all that can be reached from a node and has not been walked."""
        work = [] if root in self._index else [(root, self._enter(root))]
        while work:
            node, targets = work[-1]
            target = self._next(node, targets)
            if target is not None:
                work.append((target, self._enter(target)))
                continue
            work.pop()
            self._leave(node)
            if work:
                self._lower(work[-1][0], self._low[node])

    def _enter(self, node: str) -> Iterator[str]:
        self._index[node] = self._low[node] = len(self._index)
        self._path.append(node)
        self._on_path.add(node)
        return iter(self._graph.get(node, ()))

    def _next(self, node: str, targets: Iterator[str]) -> str | None:
        for target in targets:
            if target not in self._index:
                return target
            if target in self._on_path:
                self._lower(node, self._index[target])
        return None

    def _lower(self, node: str, index: int) -> None:
        self._low[node] = min(self._low[node], index)

    def _leave(self, node: str) -> None:
        if self._low[node] != self._index[node]:
            return
        component = [self._path.pop()]
        while component[-1] != node:
            component.append(self._path.pop())
        self._on_path.difference_update(component)
        if len(component) > 1:
            self.found.append(component)


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


def shortest_cycle(graph: Graph, component: Sequence[str]) -> list[str]:
    """The nodes of a short cycle in a component, the first one again at the end."""
    cycles = (shortest_path(graph, node, node) for node in component[:MOST_TRIED])
    return min((cycle for cycle in cycles if cycle is not None), key=len)


def _walk_back(before: Mapping[str, str], start: str, goal: str) -> list[str]:
    path = [goal, before[goal]]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]
