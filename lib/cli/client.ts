/** A client's directory, opened for sealing. */
export { type ClientOptions, openClient } from '../round/client-directory.js';
