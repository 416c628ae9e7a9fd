/** In the place of the process that encrypts: fails in the way that the name of its instruction set says. */
switch (process.env['TENSORGUARD_FORCE_ISA']) {
  case 'ends-at-once':
    process.exit(3);
    break;
  case 'ends-when-asked':
    process.on('message', () => process.kill(process.pid, 'SIGKILL'));
    break;
  case 'answers-nonsense':
    process.on('message', () => process.send?.({ wall: 'long' }));
    break;
}
