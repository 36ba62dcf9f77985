// A disk that is full: a tmpfs of a few megabytes, which only root can mount.
#pragma once

#include <sys/mount.h>

#include <string>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {

// A file system of its own below a directory, unmounted at the end.
class SmallDisk {
 public:
  SmallDisk() { mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, "size=24m,mode=0755") == 0; }
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool is_mounted() const { return mounted_; }
  const std::string& path() const { return directory_.path(); }
  bool grow() {
    return mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, "size=96m,mode=0755") == 0;
  }

 private:
  TempDirectory directory_;
  bool mounted_ = false;
};

}  // namespace small_db::testing
