/**
 * A bound on how deeply a YAML text nests, found by its tokens alone.
 *
 * The parser recurses: some ten thousand brackets exhaust its stack, and where that happens while a regular
 * expression is compiled, Node aborts instead of throwing. So the depth is bounded before parsing.
 */
import { CST, Lexer } from 'yaml';

const MAX_FLOW_DEPTH = 32;
/** Each block level stands further right than the one around it, but for a list right below its key. */
const MAX_BLOCK_COLUMN = 128;

/** Whether `text` stays within the depth that a policy can need. Linear in the text up to the first excess. */
export function isShallow(text: string): boolean {
  let flowDepth = 0;
  let column = 0;
  for (const token of new Lexer().lex(text)) {
    switch (CST.tokenType(token)) {
      case 'flow-seq-start':
      case 'flow-map-start':
        flowDepth += 1;
        if (flowDepth > MAX_FLOW_DEPTH) return false;
        break;
      case 'flow-seq-end':
      case 'flow-map-end':
        flowDepth = Math.max(0, flowDepth - 1);
        break;
      case 'seq-item-ind':
      case 'explicit-key-ind':
      case 'map-value-ind':
        if (flowDepth === 0 && column > MAX_BLOCK_COLUMN) return false;
        break;
      default:
        break;
    }
    const newline = token.lastIndexOf('\n');
    // The lexer marks documents and scalars with single control characters, which take no room.
    if (newline >= 0) column = token.length - newline - 1;
    else if (!['\u0002', '\u0018', '\u001f'].includes(token)) column += token.length;
  }
  return true;
}
