/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LINUX_PROCESS_H
#define WEIR_LINUX_PROCESS_H

/* The environment, for a child; Swift does not let its variable be read. */
char *const *linux_environment(void);

#endif
