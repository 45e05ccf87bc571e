/* Keeps beside a folder what a disk would still hold of it after a power cut: what was synced, and nothing else.

   Preloaded into a process. LSML_TEST_DISK names the folder, LSML_TEST_SYNCED the mirror. When a file below the folder is
   synced, its content is copied to <mirror>/<identity>.file; when a folder is, its list of "identity name" to
   <mirror>/<identity>.folder. An inode's number is given to another file once it is free, so the kernel's handle of it, which also
   counts how often that happened, is what tells files apart, where the file system has handles.
   Copies are renamed into place, for a process may be killed in the middle of one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Through the descriptor that is there: to close another one of the same file would drop the process's locks on it. */
static int copy_file(int from, int to) {
  char buffer[65536];
  ssize_t got;
  off_t at = 0;
  while ((got = pread(from, buffer, sizeof buffer, at)) > 0) {
    if (write(to, buffer, got) != got) return -1;
    at += got;
  }
  return got < 0 ? -1 : 0;
}

/* Of what `name` names, below the folder `at`; opens nothing, for the reason above. 0, or -1 where nothing is there. */
int identity(int at, const char *name, int flags, char *into, size_t size) {
  struct {
    struct file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
  } handle = {.head.handle_bytes = MAX_HANDLE_SZ};
  struct stat found;
  int mount;
  if (!name_to_handle_at(at, name, &handle.head, &mount, flags) && 2 * handle.head.handle_bytes < size) {
    for (unsigned i = 0; i < handle.head.handle_bytes; i++) sprintf(into + 2 * i, "%02x", handle.head.f_handle[i]);
    return 0;
  }
  if (fstatat(at, name, &found, flags | AT_SYMLINK_NOFOLLOW)) return -1;
  snprintf(into, size, "%lu", (unsigned long)found.st_ino);
  return 0;
}

static int list_folder(const char *from, int to) {
  char which[2 * MAX_HANDLE_SZ + 1];
  struct dirent *entry;
  DIR *folder = opendir(from);
  if (!folder) return -1;
  while ((entry = readdir(folder)))
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
        !identity(dirfd(folder), entry->d_name, 0, which, sizeof which))
      dprintf(to, "%s %s\n", which, entry->d_name);
  closedir(folder);
  return 0;
}

static void keep(int descriptor) {
  const char *disk = getenv("LSML_TEST_DISK"), *mirror = getenv("LSML_TEST_SYNCED");
  char link[64], path[PATH_MAX], made[PATH_MAX], kept[PATH_MAX], which[2 * MAX_HANDLE_SZ + 1];
  struct stat found;
  ssize_t length;
  int to, failed;
  if (!disk || !mirror || fstat(descriptor, &found)) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  if (strncmp(path, disk, strlen(disk))) return;
  if (identity(descriptor, "", AT_EMPTY_PATH, which, sizeof which)) return;
  int folder = S_ISDIR(found.st_mode);
  snprintf(kept, sizeof kept, "%s/%s.%s", mirror, which, folder ? "folder" : "file");
  snprintf(made, sizeof made, "%s/.making-XXXXXX", mirror);
  to = mkstemp(made);
  if (to < 0) return;
  failed = folder ? list_folder(path, to) : copy_file(descriptor, to);
  close(to);
  if (failed || rename(made, kept)) unlink(made);
}

int fsync(int descriptor) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  int failed = real(descriptor);
  if (!failed) keep(descriptor);
  return failed;
}

int fdatasync(int descriptor) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  int failed = real(descriptor);
  if (!failed) keep(descriptor);
  return failed;
}
