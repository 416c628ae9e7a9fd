// Marks for the constant-time check: under valgrind's memcheck secrets count as undefined, so that a branch
// or an address that depends on one is reported. In the shipped build they are nothing.
#ifndef TENSORGUARD_CORE_CONSTANT_TIME_H_
#define TENSORGUARD_CORE_CONSTANT_TIME_H_

#ifdef TENSORGUARD_CONSTANT_TIME_CHECK
#include <valgrind/memcheck.h>
#define TENSORGUARD_SECRET(address, size) VALGRIND_MAKE_MEM_UNDEFINED(address, size)
#define TENSORGUARD_PUBLIC(address, size) VALGRIND_MAKE_MEM_DEFINED(address, size)
#else
#define TENSORGUARD_SECRET(address, size) ((void)(address), (void)(size))
#define TENSORGUARD_PUBLIC(address, size) ((void)(address), (void)(size))
#endif

#endif  // TENSORGUARD_CORE_CONSTANT_TIME_H_
