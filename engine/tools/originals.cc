#include "engine/tools/originals.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/limits.h"

namespace small_db::tools {

namespace {

constexpr size_t kCopyBytes = kMiB;

// version and newVersion are written again under their names: a link would change with them.
bool may_be_linked(const std::string& name) {
  return name.rfind("logfile.", 0) == 0 || name.rfind("checkpoint.", 0) == 0;
}

Status copy_file(Directory& from, Directory& to, const std::string& name) {
  Result<std::unique_ptr<File>> source = from.open(name, OpenMode::kRead);
  if (!source.is_ok()) return source.status();
  Result<std::unique_ptr<File>> target = to.open(name, OpenMode::kCreate);
  if (!target.is_ok()) return target.status();
  std::vector<std::byte> piece(kCopyBytes);
  for (uint64_t at = 0;;) {
    const Result<size_t> got = source.value()->read_at(at, piece);
    if (!got.is_ok()) return got.status();
    SMALL_DB_RETURN_IF_ERROR(target.value()->write_at(at, Bytes(piece).first(got.value())));
    at += got.value();
    if (got.value() < piece.size()) break;
  }
  return target.value()->sync_data();
}

Status link_file(const std::string& path, const std::string& save_path, Directory& saved,
                 const std::string& name) {
  if (::link((path + "/" + name).c_str(), (save_path + "/" + name).c_str()) == -1) {
    return {Code::kIoError, "originals: link", errno};
  }
  const Result<std::unique_ptr<File>> file = saved.open(name, OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  return file.value()->sync_data();
}

std::string parent_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

Result<std::vector<std::string>> list_originals(Directory& directory) {
  Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return names;
  std::vector<std::string> originals;
  for (std::string& name : names.value()) {
    if (name == "version" || name == "newVersion" || name == "version.tmp" || may_be_linked(name)) {
      originals.push_back(std::move(name));
    }
  }
  return originals;
}

std::string choose_save_path(const std::string& path) {
  for (int n = 1;; ++n) {
    std::string save_path = path + "/damaged-" + std::to_string(n);
    if (::access(save_path.c_str(), F_OK) == -1) return save_path;
  }
}

Status save_originals(const std::string& path, const std::vector<std::string>& names,
                      const std::string& save_path) {
  if (::mkdir(save_path.c_str(), S_IRWXU) == -1) {
    return {errno == EEXIST ? Code::kInvalidArgument : Code::kIoError, "originals: make the folder",
            errno};
  }
  const auto from = PosixDirectory::open(path);
  if (!from.is_ok()) return from.status();
  const auto to = PosixDirectory::open(save_path);
  if (!to.is_ok()) return to.status();
  for (const std::string& name : names) {
    Status status(Code::kInvalidArgument, "originals: not to be linked");
    if (may_be_linked(name)) status = link_file(path, save_path, *to.value(), name);
    if (!status.is_ok()) status = copy_file(*from.value(), *to.value(), name);
    if (!status.is_ok()) return status;
  }
  SMALL_DB_RETURN_IF_ERROR(to.value()->sync());
  const auto parent = PosixDirectory::open(parent_of(save_path));
  if (!parent.is_ok()) return parent.status();
  return parent.value()->sync();
}

}  // namespace small_db::tools
