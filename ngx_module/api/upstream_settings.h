// How a backup reaches its primary: what backup_of says, as the storage process needs it.
//
// Pure functions over the caller's memory. The master calls them while it reads a configuration.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace small_db {

inline constexpr uint32_t kConnectTimeoutMsDefault = 5'000;
inline constexpr uint32_t kUpstreamTimeoutMsDefault = 10'000;

struct UpstreamSettings {
  // The mount of the primary's store, with a slash at its end; no user, no password, host and
  // scheme in lower case, no port that is the scheme's own. For people, and to recognise a primary.
  std::string name;
  std::string user;      // empty: none
  std::string password;  // secret
  // The files' texts, PEM. They are read with the configuration, as nginx reads its own: the
  // process that uses them may not be allowed to.
  std::string ca_pem;           // empty: the system's authorities
  std::string certificate_pem;  // of this client; empty: none
  std::string key_pem;          // secret
  uint32_t connect_timeout_ms = kConnectTimeoutMsDefault;
  uint32_t timeout_ms = kUpstreamTimeoutMsDefault;  // of silence

  bool is_https() const noexcept { return name.starts_with("https:"); }
  bool operator==(const UpstreamSettings&) const = default;
};

// Sets name, user and password from `url`: http or https, a host (name, IPv4 address, IPv6 address
// in brackets), a port if it is not the usual one, a path that ends with a slash; user and password
// percent-encoded. Returns nullptr, or what the URL must be, in words that hold nothing of it;
// `settings` is as it was then. May throw std::bad_alloc.
[[nodiscard]] const char* parse_upstream_url(std::string_view url, UpstreamSettings* settings);

}  // namespace small_db
