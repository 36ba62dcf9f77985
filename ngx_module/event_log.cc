#include "ngx_module/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace small_db {
namespace {

struct Level {
  ngx_uint_t level;
  const char* name;  // as nginx writes it
};

Level level_of(Severity severity) noexcept {
  switch (severity) {
    case Severity::kInfo:
      return {NGX_LOG_INFO, "info"};
    case Severity::kNotice:
      return {NGX_LOG_NOTICE, "notice"};
    case Severity::kWarning:
      return {NGX_LOG_WARN, "warn"};
    case Severity::kError:
      return {NGX_LOG_ERR, "error"};
    case Severity::kAlert:
      return {NGX_LOG_ALERT, "alert"};
  }
  return {NGX_LOG_ERR, "error"};
}

bool same_file(const struct stat& left, const struct stat& right) noexcept {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

}  // namespace

NginxEventLog::NginxEventLog(const ngx_log_t* log, std::string_view store) : store_(store) {
  const ngx_log_t* file_log = ngx_log_get_file_log(const_cast<ngx_log_t*>(log));
  if (file_log == nullptr) return;
  level_ = file_log->log_level;
  file_name_ = text_of(file_log->file->name);
  descriptor_ = fcntl(file_log->file->fd, F_DUPFD_CLOEXEC, 0);
}

NginxEventLog::~NginxEventLog() {
  if (descriptor_ != -1) ::close(descriptor_);
}

void NginxEventLog::follow_rotation() noexcept {
  if (file_name_.empty()) return;
  struct stat ours;
  struct stat named;
  if (fstat(descriptor_, &ours) != 0 || stat(file_name_.c_str(), &named) != 0) return;
  if (same_file(ours, named)) return;
  const int opened = open(file_name_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (opened == -1) return;  // not given to our user yet: the old file is better than none
  ::close(descriptor_);
  descriptor_ = opened;
}

void NginxEventLog::write(Severity severity, std::string_view line) noexcept {
  const Level level = level_of(severity);
  if (level_ < level.level) return;
  const time_t now = time(nullptr);
  struct tm local;
  localtime_r(&now, &local);
  char text[NGX_MAX_ERROR_STR];
  const int length = std::snprintf(
      text, sizeof(text), "%4d/%02d/%02d %02d:%02d:%02d [%s] %d#%ld: small_db_store \"%s\": %.*s",
      local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min,
      local.tm_sec, level.name, static_cast<int>(getpid()), syscall(SYS_gettid), store_.c_str(),
      static_cast<int>(std::min<size_t>(line.size(), sizeof(text))), line.data());
  if (length < 0) return;
  const size_t end = std::min<size_t>(static_cast<size_t>(length), sizeof(text) - 1);
  std::replace(text, text + end, '\n', ' ');
  text[end] = '\n';
  const std::lock_guard lock(mutex_);
  if (descriptor_ == -1) return;
  follow_rotation();
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, text, end + 1);
}

}  // namespace small_db
