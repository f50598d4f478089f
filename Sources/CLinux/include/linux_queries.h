/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that glibc's Swift module cannot ask. */
#ifndef WEIR_LINUX_QUERIES_H
#define WEIR_LINUX_QUERIES_H

/* The name of an errno, "EPERM"; NULL where glibc knows none. */
const char *linux_errno_name(int code);
/* The magic number of the file system a path is on (linux/magic.h); -1 with errno. */
long linux_filesystem(const char *path);
/* The environment, for a child; Swift does not let its variable be read. */
char *const *linux_environment(void);

#endif
