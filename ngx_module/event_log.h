// The storage worker's lines in nginx's error log. They are written by threads, where nginx's own
// logging must not be used (its time is cached, its files are reopened by the main thread): each
// line is formatted here as nginx formats it and written with one write(2) to a descriptor of our
// own.
//
// After a rotation the descriptor is exchanged when the log's name leads to another file.
#pragma once

#include <mutex>
#include <string>

#include "engine/platform/event_log.h"
#include "ngx_module/nginx.h"

namespace small_db {

class NginxEventLog final : public EventLog {
 public:
  // Runs in the main thread of the process that will write. store: named in each line.
  NginxEventLog(const ngx_log_t* log, std::string_view store);
  ~NginxEventLog() override;

  void write(Severity severity, std::string_view line) noexcept override;

 private:
  void follow_rotation() noexcept;

  std::mutex mutex_;
  std::string store_;
  std::string file_name_;  // empty: standard error, which is never rotated
  int descriptor_ = -1;
  ngx_uint_t level_ = NGX_LOG_ERR;
};

}  // namespace small_db
