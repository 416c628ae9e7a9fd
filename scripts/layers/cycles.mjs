/** Circles in a directed graph. */

/**
 * One shortest circle through each strongly connected part of the graph, as a list of nodes.
 * `edges` maps a node to the nodes that it points to.
 */
export function findCycles(edges) {
  const cycles = [];
  const seen = new Set();
  for (const start of [...edges.keys()].sort()) {
    if (seen.has(start)) continue;
    const cycle = shortestWayBack(edges, start);
    if (cycle === undefined) continue;
    for (const node of cycle) seen.add(node);
    cycles.push(cycle);
  }
  return cycles;
}

function shortestWayBack(edges, start) {
  const cameFrom = new Map();
  const queue = [start];
  for (const node of queue) {
    for (const next of edges.get(node) ?? []) {
      if (next === start) return pathTo(node, cameFrom);
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, node);
      queue.push(next);
    }
  }
  return undefined;
}

function pathTo(node, cameFrom) {
  const path = [];
  for (let at = node; at !== undefined; at = cameFrom.get(at)) path.unshift(at);
  return path;
}
