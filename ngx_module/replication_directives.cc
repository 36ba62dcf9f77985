#include "ngx_module/replication_directives.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <string>
#include <utility>

#include "ngx_module/directive_values.h"

namespace small_db {
namespace {

constexpr ngx_int_t kAckCountMax = 8;
constexpr off_t kLogBytesMin = static_cast<off_t>(kMiB);
constexpr off_t kLogBytesMax = static_cast<off_t>(4096 * kGiB);
constexpr size_t kPemBytesMax = kMiB;
constexpr std::string_view kPemBegin = "-----BEGIN ";
constexpr std::string_view kPrivateKeyEnd = "PRIVATE KEY-----";

constexpr const char* kPemFile = "the name of a file in PEM format, of at most 1m";
constexpr const char* kKeyFile = "the name of a PEM file that has a private key, unencrypted";

// Bits of StoreConf::has_replication.
enum Directive : uint32_t { kBackupOf = 1, kReplicationAck = 2, kReplicationLogSize = 4 };

// False: it was there before.
bool is_first(StoreConf* store, Directive directive) noexcept {
  const bool first = (store->has_replication & directive) == 0;
  store->has_replication |= directive;
  return first;
}

bool parse_ms(ngx_str_t value, ngx_msec_t min, ngx_msec_t max, uint32_t* to) noexcept {
  // NGX_ERROR is out of range, too.
  const auto ms = static_cast<ngx_msec_t>(ngx_parse_time(&value, 0));
  if (ms < min || ms > max) return false;
  *to = static_cast<uint32_t>(ms);
  return true;
}

// What backup_of has read so far.
struct BackupOf {
  ngx_conf_t* cf;
  UpstreamSettings settings;
};

// All of an open file, up to kPemBytesMax + 1 bytes; an errno, or 0.
ngx_err_t read_all(int descriptor, std::string* text) {
  char buffer[16 * 1024];
  while (text->size() <= kPemBytesMax) {
    const ssize_t bytes = read(descriptor, buffer, sizeof(buffer));
    if (bytes == 0) return 0;
    if (bytes < 0 && errno != EINTR) return errno;
    if (bytes > 0) text->append(buffer, static_cast<size_t>(bytes));
  }
  return 0;
}

// Sets *text to the file's. The result is that of a parameter's reader.
const char* read_pem(ngx_conf_t* cf, ngx_str_t name, std::string* text) noexcept {
  if (name.len == 0) return kPemFile;
  // Relative to nginx.conf, as for nginx's own certificates.
  if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) return kConfError;
  // Not blocking: a FIFO has no end.
  const int descriptor =
      open(reinterpret_cast<const char*>(name.data), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ngx_err_t error = descriptor == -1 ? errno : 0;
  try {
    if (error == 0) error = read_all(descriptor, text);
  } catch (const std::bad_alloc&) {
    error = NGX_ENOMEM;
  }
  if (descriptor != -1) close(descriptor);
  if (error != 0) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, error, "\"%V\" directive can't read \"%V\"",
                       argument(cf, 0), &name);
    return kConfError;
  }
  const bool is_pem = text->size() <= kPemBytesMax && text->find(kPemBegin) != std::string::npos;
  return is_pem ? kConfOk : kPemFile;
}

bool has_plain_key(const std::string& pem) noexcept {
  return pem.find(kPrivateKeyEnd) != std::string::npos &&
         pem.find("ENCRYPTED") == std::string::npos;
}

const char* set_ca(ngx_str_t value, BackupOf* backup) noexcept {
  return read_pem(backup->cf, value, &backup->settings.ca_pem);
}

const char* set_certificate(ngx_str_t value, BackupOf* backup) noexcept {
  return read_pem(backup->cf, value, &backup->settings.certificate_pem);
}

const char* set_key(ngx_str_t value, BackupOf* backup) noexcept {
  const char* error = read_pem(backup->cf, value, &backup->settings.key_pem);
  if (error != kConfOk) return error;
  return has_plain_key(backup->settings.key_pem) ? kConfOk : kKeyFile;
}

const char* set_connect_timeout(ngx_str_t value, BackupOf* backup) noexcept {
  const bool set = parse_ms(value, 100, 60'000, &backup->settings.connect_timeout_ms);
  return set ? kConfOk : "a time between 100ms and 60s";
}

const char* set_timeout(ngx_str_t value, BackupOf* backup) noexcept {
  // A stream that is alive has something to say every second.
  const bool set = parse_ms(value, 2'000, 600'000, &backup->settings.timeout_ms);
  return set ? kConfOk : "a time between 2s and 10m";
}

constexpr NamedParameter<BackupOf> kBackupOfParameters[] = {
    {"ca=", set_ca},           {"certificate=", set_certificate},
    {"key=", set_key},         {"connect_timeout=", set_connect_timeout},
    {"timeout=", set_timeout},
};

constexpr const char* kBackupOfParameter =
    "ca=FILE, certificate=FILE, key=FILE, connect_timeout=TIME or timeout=TIME";

// What is none may be a second URL, or a part of the first: no message shows it.
bool is_backup_of_parameter(std::string_view text) noexcept {
  return std::any_of(std::begin(kBackupOfParameters), std::end(kBackupOfParameters),
                     [text](const auto& parameter) { return text.starts_with(parameter.prefix); });
}

// What the parameters must be together; nullptr: they are.
const char* check_backup_of(const UpstreamSettings& settings) noexcept {
  const bool has_key = !settings.key_pem.empty();
  const bool has_certificate = !settings.certificate_pem.empty();
  if (!settings.is_https() && (has_key || has_certificate || !settings.ca_pem.empty())) {
    return "has \"ca\", \"certificate\" or \"key\", which need a URL with https";
  }
  if (has_key && !has_certificate) return "has a \"key\" without a \"certificate\"";
  if (has_certificate && !has_key && !has_plain_key(settings.certificate_pem)) {
    return "has a \"certificate\" without a \"key\"";
  }
  return nullptr;
}

const char* read_backup_of(ngx_conf_t* cf, StoreConf* store) {
  BackupOf backup{cf, {}};
  if (const char* must = parse_upstream_url(text_of(*argument(cf, 1)), &backup.settings)) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive has an invalid URL, it must be %s",
                       argument(cf, 0), must);
    return kConfError;
  }
  uint32_t taken = 0;
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    if (!is_backup_of_parameter(text_of(*argument(cf, i)))) {
      ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                         "\"%V\" directive has an unknown argument, number %ui, it must be %s",
                         argument(cf, 0), i, kBackupOfParameter);
      return kConfError;
    }
    const char* error =
        set_named_parameter(cf, i, kBackupOfParameters, kBackupOfParameter, &taken, &backup);
    if (error != kConfOk) return error;
  }
  if (const char* error = check_backup_of(backup.settings)) return error;
  store->replication.backup_of = std::move(backup.settings);
  return kConfOk;
}

const char* set_ack_timeout(ngx_str_t value, ReplicationSettings* settings) noexcept {
  const bool set = parse_ms(value, 10, 600'000, &settings->ack_timeout_ms);
  return set ? kConfOk : "a time between 10ms and 10m";
}

const char* set_on_timeout(ngx_str_t value, ReplicationSettings* settings) noexcept {
  if (text_of(value) == "refuse") {
    settings->on_ack_timeout = OnAckTimeout::kRefuse;
  } else if (text_of(value) == "degrade") {
    settings->on_ack_timeout = OnAckTimeout::kDegrade;
  } else {
    return "on_timeout=refuse or on_timeout=degrade";
  }
  return kConfOk;
}

constexpr NamedParameter<ReplicationSettings> kAckParameters[] = {
    {"timeout=", set_ack_timeout},
    {"on_timeout=", set_on_timeout},
};
constexpr const char* kAckParameter = "timeout=TIME, on_timeout=refuse or on_timeout=degrade";

}  // namespace

const char* set_backup_of(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (!is_first(store, kBackupOf)) return "is duplicate";
  try {
    return read_backup_of(cf, store);
  } catch (const std::bad_alloc&) {
    return "has found no memory";
  }
}

const char* set_replication_ack(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (!is_first(store, kReplicationAck)) return "is duplicate";
  const ngx_str_t* value = argument(cf, 1);
  const ngx_int_t count = ngx_atoi(value->data, value->len);
  if (count < 0 || count > kAckCountMax) return refuse_value(cf, 1, "a number between 0 and 8");
  store->replication.ack_count = static_cast<uint32_t>(count);
  uint32_t taken = 0;
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    const char* error =
        set_named_parameter(cf, i, kAckParameters, kAckParameter, &taken, &store->replication);
    if (error != kConfOk) return error;
  }
  return kConfOk;
}

const char* set_replication_log_size(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (!is_first(store, kReplicationLogSize)) return "is duplicate";
  const off_t bytes = ngx_parse_offset(argument(cf, 1));
  if (bytes < kLogBytesMin || bytes > kLogBytesMax) {
    return refuse_value(cf, 1, "between 1m and 4096g");
  }
  store->replication.log_bytes = static_cast<uint64_t>(bytes);
  return kConfOk;
}

}  // namespace small_db
