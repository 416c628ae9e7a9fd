/*
 * The first process of a machine that exists to run one program: runs it with the kernel command line's arguments
 * (after "--"), prints its exit status, and switches the machine off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { BOCHS_SHUTDOWN_PORT = 0x8900 };

int main(int argc, char** argv) {
  (void)argc;
  setenv("TENSORGUARD_FORCE_ISA", "avx512", 1);
  pid_t child = fork();
  if (child == 0) {
    argv[0] = "/program";
    execv("/program", argv);
    perror("/program");
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    printf("program ended by signal %d\n", WTERMSIG(status));
  } else {
    printf("program ended with exit status %d\n", WEXITSTATUS(status));
  }
  fflush(stdout);
  tcdrain(STDOUT_FILENO);

  if (ioperm(BOCHS_SHUTDOWN_PORT, 1, 1) == 0) {
    for (const char* letter = "Shutdown"; *letter != '\0'; ++letter) outb((unsigned char)*letter, BOCHS_SHUTDOWN_PORT);
  }
  return 1; /* the kernel panics, which also ends the emulation */
}
