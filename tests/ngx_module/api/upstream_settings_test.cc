#include "ngx_module/api/upstream_settings.h"

#include <gtest/gtest.h>

namespace small_db {
namespace {

struct Taken {
  const char* url;
  const char* name;
  const char* user = "";
  const char* password = "";
};

TEST(UpstreamUrl, IsTakenInEveryForm) {
  const Taken cases[] = {
      {"http://10.0.0.1/v1/", "http://10.0.0.1/v1/"},
      {"https://user:secret@10.0.0.1/v1/", "https://10.0.0.1/v1/", "user", "secret"},
      {"http://primary:8080/", "http://primary:8080/"},
      {"http://primary.example.org./a/b/", "http://primary.example.org./a/b/"},
      {"HTTPS://Primary.Example:443/V1/", "https://primary.example/V1/"},
      {"http://h:80/", "http://h/"},
      {"http://h:443/", "http://h:443/"},
      {"https://h:80/", "https://h:80/"},
      {"http://[::1]/v1/", "http://[::1]/v1/"},
      {"http://[2001:DB8::1]:65535/v1/", "http://[2001:db8::1]:65535/v1/"},
      {"http://u@h/", "http://h/", "u", ""},
      {"http://u:@h/", "http://h/", "u", ""},
      {"http://u:a:b@h/", "http://h/", "u", "a:b"},
      {"http://%75%40%2f:p%20%3A%2B+%c3%a9@h/", "http://h/", "u@/", "p :++\xc3\xa9"},
      {"http://my_host-1/%7Euser/", "http://my_host-1/%7Euser/"},
      {"http://4you/", "http://4you/"},
      {"http://h/a//b/", "http://h/a//b/"},
      {"http://h/.../", "http://h/.../"},
  };
  for (const Taken& taken : cases) {
    UpstreamSettings settings;
    settings.timeout_ms = 7;
    settings.user = "former";
    EXPECT_EQ(parse_upstream_url(taken.url, &settings), nullptr) << taken.url;
    EXPECT_EQ(settings.name, taken.name);
    EXPECT_EQ(settings.user, taken.user) << taken.url;
    EXPECT_EQ(settings.password, taken.password) << taken.url;
    EXPECT_EQ(settings.timeout_ms, 7u);
    EXPECT_EQ(settings.is_https(), settings.name[4] == 's');
    UpstreamSettings again;
    EXPECT_EQ(parse_upstream_url(settings.name, &again), nullptr) << settings.name;
    EXPECT_EQ(again.name, settings.name);
  }
}

std::string long_host() {
  std::string host;
  for (int i = 0; i < 64; i++) host += "aaa.";
  return host;
}

const std::pair<std::string, const char*> kRefused[] = {
    {"", "http:// or https://"},
    {"10.0.0.1/v1/", "http:// or https://"},
    {"//h/", "http:// or https://"},
    {"ftp://h/", "http:// or https://"},
    {"file:///etc/passwd", "http:// or https://"},
    {" http://h/", "http:// or https://"},
    {"http:/h/", "http:// or https://"},
    {"unix:/run/socket:/v1/", "http:// or https://"},
    {"http://" + std::string(2048, 'a') + "/", "http:// or https://"},
    {"http://h", "path"},
    {"http://h:80", "path"},
    {"http://h/v1", "path"},
    {"http://h/v1/ /", "path"},
    {"http://h/v1\t/", "path"},
    {"http://h/v%1/", "path"},
    {"http://h/v%zz/", "path"},
    {"http://h/%0d%0aX/", "path"},
    {"http://h/../", "path"},
    {"http://h/a/%2e%2e/", "path"},
    {"http://h/a/./", "path"},
    {"http://h/a%2f..%2fb/", "path"},
    {"http://h/v1/\"/", "path"},
    {"http://h/\xc3\xa9/", "path"},
    {"http://h/v1/?", "?"},
    {"http://h/v1/?a=b/", "?"},
    {"http://h/v1/#/", "#"},
    {"http://user:pa#ss@h/", "#"},
    {"http:///v1/", "host"},
    {"http://:80/v1/", "host"},
    {"http://u:p@/v1/", "host"},
    {"http://.h/", "host"},
    {"http://a..b/", "host"},
    {"http://./", "host"},
    {"http://h%41/", "host"},
    {"http://h h/", "host"},
    {"http://h\\x/", "host"},
    {"http://10.0.0.256/", "host"},
    {"http://10.0.1/", "host"},
    {"http://2130706433/", "host"},
    {"http://0x7f.0x1/", "host"},
    {"http://h.0X1/", "host"},
    {"http://010.0.0.1/", "host"},
    {"http://[::1/", "host"},
    {"http://[]/", "host"},
    {"http://[10.0.0.1]/", "host"},
    {"http://[fe80::1%25eth0]/", "host"},
    {"http://[::1]x/", "host"},
    {"http://::1/", "host"},
    {std::string("http://[::1\0x]/", 16), "host"},
    {std::string("http://1.2.3.4\0x/", 17), "host"},
    {"http://" + std::string(64, 'a') + "/", "host"},
    {"http://" + long_host() + "/", "host"},
    {"http://h:/", "port"},
    {"http://h:0/", "port"},
    {"http://h:65536/", "port"},
    {"http://h:080/", "port"},
    {"http://h:+80/", "port"},
    {"http://h:80:81/", "port"},
    {"http://h:4294967376/", "port"},
    {"http://@h/", "user"},
    {"http://:p@h/", "user"},
    {"http://u:p%@h/", "user"},
    {"http://u%0a:p@h/", "user"},
    {"http://u:p%00@h/", "user"},
    {"http://u%3a:p@h/", "user"},
    {"http://u:p@q@h/", "user"},
};

TEST(UpstreamUrl, IsRefusedWithWhatItMustBe) {
  for (const auto& [url, part] : kRefused) {
    UpstreamSettings settings;
    settings.name = "as it was";
    const UpstreamSettings before = settings;
    const char* must = parse_upstream_url(url, &settings);
    ASSERT_NE(must, nullptr) << url;
    EXPECT_NE(std::string_view(must).find(part), std::string_view::npos) << url << ": " << must;
    EXPECT_EQ(settings, before) << url;
  }
}

}  // namespace
}  // namespace small_db
