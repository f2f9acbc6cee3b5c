/* string.h: what imitation.c and guest.c call of the C library, for compilers of machines whose
 * library is not installed. */
#ifndef VTA_TESTS_MACHINE_STRING_H
#define VTA_TESTS_MACHINE_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *to, int value, size_t nbytes);
int memcmp(const void *a, const void *b, size_t nbytes);
int strcmp(const char *a, const char *b);
size_t strlen(const char *text);

#endif
