/** The owner's directory, as `open` and `close` use it. */
export { openOwner } from '../round/owner-directory.js';
