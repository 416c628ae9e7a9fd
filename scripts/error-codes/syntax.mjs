/** A walk over TypeScript's syntax tree. */
import ts from 'typescript';

/** `root` and all nodes below it for which `accept` holds, in the order of the text. */
export function descendants(root, accept = () => true) {
  const found = [];
  const visit = (node) => {
    if (accept(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(root);
  return found;
}
