// The configuration: each wrong value is refused by `nginx -t` with directive, value and line, and
// a check touches no data.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

// Line 6 of the file is the first line of `http`.
std::string configuration(const TempDirectory& directory, const std::string& http) {
  return "load_module " + module_file() + ";\npid " + directory.path() + "/nginx.pid;\nerror_log " +
         directory.path() + "/error.log;\nevents {}\nhttp {\n" + http + "\n}\n";
}

std::string store(const TempDirectory& directory, const std::string& lines) {
  return "small_db_store main {\ndir " + directory.path() + "/data;\n" + lines + "\n}\n";
}

constexpr const char* kLocation = "server { listen 127.0.0.1:1; location /v1/ { small_db main; } }";

void expect_refused(const TempDirectory& directory, const std::string& http,
                    const std::vector<std::string>& texts) {
  int exit_code = 0;
  const std::string output =
      check_configuration(directory.path(), configuration(directory, http), &exit_code);
  EXPECT_EQ(exit_code, 1) << http << output;
  EXPECT_NE(output.find("[emerg]"), std::string::npos) << output;
  for (const std::string& text : texts) {
    EXPECT_NE(output.find(text), std::string::npos) << text << " is not in:\n" << output;
  }
}

TEST(Directives, AreTakenInEveryFormThatIsDocumented) {
  const TempDirectory directory;
  const std::string cases[] = {
      store(directory, "memory 256m;"),
      store(directory, "memory 1g;"),
      store(directory, "memory 5m;"),
      store(directory, "memory 16384k;"),
      store(directory, "memory 16m; max_key_size 1; max_value_size 1;"),
      store(directory, "memory 16m; max_key_size 32k; max_value_size 64m;"),
      "small_db_store main { dir relative/data; memory 16m; }\n",
      store(directory, "memory 16m; checkpoint interval=60s log_size=64m updates=0;"),
      store(directory, "memory 16m; checkpoint updates=1000000000 interval=30d;"),
      store(directory, "memory 16m; checkpoint log_size=1m;"),
      store(directory, "memory 16m; checkpoint interval=0 log_size=0;"),
      store(directory, "memory 16m; checkpoint interval=1500ms;"),
      store(directory, "memory 16m; checkpoint off; keep_generations 0;"),
      store(directory, "memory 16m; keep_generations 1000;"),
  };
  for (const std::string& http : cases) {
    int exit_code = 0;
    const std::string output = check_configuration(
        directory.path(), configuration(directory, http + kLocation), &exit_code);
    EXPECT_EQ(exit_code, 0) << http << output;
  }
}

TEST(Directives, NameTheValueThatIsWrongAndItsPlace) {
  const TempDirectory directory;
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {"memory 1m;", {"\"memory\"", "\"1m\"", "between 5m and 64g"}},
      {"memory 65g;", {"\"memory\"", "\"65g\"", "between 5m and 64g"}},
      {"memory many;", {"\"memory\"", "\"many\""}},
      {"memory -5m;", {"\"memory\"", "\"-5m\""}},
      {"memory 0;", {"\"memory\"", "\"0\""}},
      {"memory \"\";", {"\"memory\"", "\"\""}},
      {"memory 99999999999999999999;", {"\"memory\""}},
      {"memory 16m; max_key_size 0;", {"\"max_key_size\"", "\"0\"", "between 1 and 32k"}},
      {"memory 16m; max_key_size 33k;", {"\"max_key_size\"", "\"33k\""}},
      {"memory 16m; max_value_size 65m;", {"\"max_value_size\"", "\"65m\"", "between 1 and 64m"}},
      {"memory 16m; max_value_size x;", {"\"max_value_size\"", "\"x\""}},
      {"memory 16m 17m;", {"\"memory\"", "number of arguments"}},
      {"memory;", {"\"memory\"", "number of arguments"}},
      {"memory 16m; checkpoint;", {"\"checkpoint\"", "number of arguments"}},
      {"memory 16m; checkpoint on;", {"\"checkpoint\"", "\"on\"", "interval=TIME", "off"}},
      {"memory 16m; checkpoint off updates=1;", {"\"checkpoint\"", "\"off\"", "alone"}},
      {"memory 16m; checkpoint interval=999ms;", {"\"interval=999ms\"", "between 1s and 30d"}},
      {"memory 16m; checkpoint interval=31d;", {"\"interval=31d\"", "between 1s and 30d"}},
      {"memory 16m; checkpoint interval=;", {"\"interval=\"", "between 1s and 30d"}},
      {"memory 16m; checkpoint interval=-1;", {"\"interval=-1\"", "between 1s and 30d"}},
      {"memory 16m; checkpoint log_size=1;", {"\"log_size=1\"", "between 1m and 64g"}},
      {"memory 16m; checkpoint log_size=65g;", {"\"log_size=65g\"", "between 1m and 64g"}},
      {"memory 16m; checkpoint log_size=;", {"\"log_size=\"", "between 1m and 64g"}},
      {"memory 16m; checkpoint updates=1k;", {"\"updates=1k\"", "up to 1000000000"}},
      {"memory 16m; checkpoint updates=1000000001;", {"\"updates=1000000001\""}},
      {"memory 16m; checkpoint updates=1 interval=5s updates=1;", {"\"updates=1\"", "once"}},
      {"memory 16m; checkpoint size=5m;", {"\"checkpoint\"", "\"size=5m\"", "log_size=SIZE"}},
      {"memory 16m; keep_generations 1001;", {"\"keep_generations\"", "between 0 and 1000"}},
      {"memory 16m; keep_generations -1;", {"\"keep_generations\"", "\"-1\""}},
      {"memory 16m; keep_generations many;", {"\"keep_generations\"", "\"many\""}},
      {"memory 16m; keep_generations 1 2;", {"\"keep_generations\"", "number of arguments"}},
      {"memory 16m; colour blue;", {"\"colour\"", "unknown directive"}},
  };
  for (const auto& [lines, texts] : cases) {
    std::vector<std::string> all = texts;
    all.push_back(directory.path() + "/nginx.conf:8");
    expect_refused(directory, store(directory, lines) + kLocation, all);
  }
}

TEST(Directives, AreNeitherRepeatedNorMissing) {
  const TempDirectory directory;
  const std::string dir = "dir " + directory.path() + "/data;\n";
  const std::string conf = directory.path() + "/nginx.conf:";
  expect_refused(directory, "small_db_store main {\n" + dir + "memory 16m;\nmemory 16m;\n}",
                 {"\"memory\" directive is duplicate", conf + "9"});
  expect_refused(directory,
                 "small_db_store main {\n" + dir + "checkpoint off;\ncheckpoint updates=1;\n}",
                 {"\"checkpoint\" directive is duplicate", conf + "9"});
  expect_refused(directory,
                 "small_db_store main {\n" + dir + "keep_generations 1;\nkeep_generations 1;\n}",
                 {"\"keep_generations\" directive is duplicate", conf + "9"});
  expect_refused(directory, "small_db_store main {\n" + dir + dir + "memory 16m;\n}",
                 {"\"dir\" directive is duplicate", conf + "8"});
  expect_refused(directory, "small_db_store main {\nmemory 16m;\n}", {"\"main\"", "\"dir\"", conf});
  expect_refused(directory, "small_db_store main {\n" + dir + "}",
                 {"\"main\"", "\"memory\"", conf});
  expect_refused(directory, "small_db_store main {\ndir \"\";\nmemory 16m;\n}", {"\"dir\"", conf});
  expect_refused(directory, "small_db_store;", {"\"small_db_store\"", conf + "6"});
}

TEST(Directives, StoresDifferInNameAndDirectory) {
  const TempDirectory directory;
  const std::string dir = directory.path() + "/data";
  const std::string main = "small_db_store main { dir " + dir + "; memory 16m; }\n";
  expect_refused(directory, main + "small_db_store main { dir " + dir + "2; memory 16m; }",
                 {"duplicate", "\"main\"", "nginx.conf:7"});
  expect_refused(directory, main + "small_db_store two { dir " + dir + "; memory 16m; }",
                 {"\"two\"", "\"main\"", "\"dir\"", "nginx.conf:7"});
  expect_refused(directory, main + "small_db_store two { dir " + dir + "/; memory 16m; }",
                 {"\"two\"", "\"main\"", "nginx.conf:7"});
}

TEST(Directives, StoresDifferInDirectoryWhateverItsSpelling) {
  const TempDirectory directory;
  std::filesystem::create_directory(directory.path() + "/real");
  std::filesystem::create_directory_symlink(directory.path() + "/real", directory.path() + "/link");
  const std::string store_two = "small_db_store two { dir " + directory.path();
  const std::string main =
      "small_db_store main { dir " + directory.path() + "/real; memory 16m; }\n";
  expect_refused(directory, main + store_two + "/link; memory 16m; }", {"\"two\"", "\"main\""});
  expect_refused(directory, main + store_two + "/./real; memory 16m; }", {"\"two\"", "\"main\""});
}

TEST(Directives, ALocationNamesAStoreThatExists) {
  const TempDirectory directory;
  expect_refused(directory, std::string(kLocation), {"unknown", "\"main\"", "nginx.conf:6"});
  expect_refused(directory,
                 store(directory, "memory 16m;") +
                     "server { listen 127.0.0.1:1; location /v1/ { small_db other; } }",
                 {"\"other\"", "nginx.conf:10"});
  const std::string server = store(directory, "memory 16m;") + "server { listen 127.0.0.1:1;\n";
  expect_refused(directory, server + "location /v1/ { small_db; } }",
                 {"\"small_db\"", "number of arguments", "nginx.conf:11"});
  expect_refused(directory, server + "location /v1/ { small_db main; small_db main; } }",
                 {"\"small_db\"", "duplicate", "nginx.conf:11"});
  expect_refused(directory, server + "small_db main; }", {"\"small_db\"", "nginx.conf:11"});
  for (const char* location : {"location ~ ^/v1/", "location = /v1/", "location @named"}) {
    expect_refused(directory, server + location + " { small_db main; } }",
                   {"\"small_db\"", "nginx.conf:11"});
  }
}

TEST(Directives, ALocationMayStandBeforeItsStore) {
  const TempDirectory directory;
  int exit_code = 0;
  const std::string output = check_configuration(
      directory.path(),
      configuration(directory, kLocation + ("\n" + store(directory, "memory 16m;"))), &exit_code);
  EXPECT_EQ(exit_code, 0) << output;
}

TEST(Directives, ACheckTouchesNoData) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
  const std::string conf = read_file(server.directory() + "/nginx.conf");
  for (int i = 0; i < 3; i++) {
    const TempDirectory elsewhere;
    int exit_code = 0;
    const std::string output = check_configuration(elsewhere.path(), conf, &exit_code);
    EXPECT_EQ(exit_code, 0) << output;
    EXPECT_EQ(value_in(client.get("/v1/kv/k")), "value");
    expect_ok(client.put("/v1/kv/other", base64_envelope("value")));
  }
}

TEST(Directives, ACheckOfANewStoreMakesNoFiles) {
  const TempDirectory directory;
  int exit_code = 0;
  check_configuration(directory.path(),
                      configuration(directory, store(directory, "memory 16m;") + kLocation),
                      &exit_code);
  EXPECT_EQ(exit_code, 0);
  const std::string data = directory.path() + "/data";
  EXPECT_TRUE(!std::filesystem::exists(data) || std::filesystem::is_empty(data));
}

TEST(Directives, AnNginxThatNeedsNoStoreRunsWithTheModuleLoaded) {
  const TempDirectory directory;
  int exit_code = 0;
  const std::string no_http =
      "load_module " + module_file() + ";\npid " + directory.path() + "/nginx.pid;\nevents {}\n";
  EXPECT_NE(check_configuration(directory.path(), no_http, &exit_code), "");
  EXPECT_EQ(exit_code, 0);
  check_configuration(directory.path(), configuration(directory, "server { listen 127.0.0.1:1; }"),
                      &exit_code);
  EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace small_db::testing
