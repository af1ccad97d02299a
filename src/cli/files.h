/* SPDX-License-Identifier: Apache-2.0
 *
 * files: the folder that a run leaves behind. Internal to cli.
 */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stddef.h>

#define FILES_ERROR_BYTES_MAX 2048

/* Makes a folder (mkdir -p) and looks whether it can be written. 0, or -errno. */
int files_folder_make(const char *folder);
/* The same for a run's folder; -errno with a sentence. */
int files_folder(const char *folder, char error[static FILES_ERROR_BYTES_MAX]);
/* Removes what an earlier run left here beside its run.json, so that no profile is taken for this run's. */
void files_remove_stale(const char *folder);
/* FOLDER/run.json, beside and renamed, so that a reader sees all of it or none. 0, or -errno with a sentence.
 */
int files_write_run_json(const char *folder, const char *text, char error[static FILES_ERROR_BYTES_MAX]);

#endif
