// The program behind `./dev chaos`: one chaos run by the options of the command line, and its
// report. Exits with 1 when anything was seen that must not be.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "tests/chaos/run.h"

namespace {

using small_db::testing::ChaosOptions;

constexpr const char* kUsage = R"(usage: ./dev chaos [--OPTION NUMBER]...

  --time SECONDS       how long (60)
  --kills N            end after N disturbances (0: no limit)
  --seed N             what is random follows from it (1)
  --keys N             keys in the store before the run (0); give it --memory enough
  --memory MIB         of the store (64)
  --workers N          HTTP workers of nginx (2)
  --http1 N            clients over HTTP/1.1 (10)
  --http2 N            clients over HTTP/2 (6)
  --hot-keys N         keys that they share (40)
  --pause MS           longest time between two disturbances (100)

How often each disturbance comes, relative to the others:
  --storage-kills (10)  --worker-kills (6)  --faults (1)  --reloads (3)  --powers (1)
)";

using Setters = std::map<std::string, std::function<void(double)>>;

Setters setters_of(ChaosOptions* options) {
  const auto to = [](auto* field) {
    return [field](double value) { *field = static_cast<std::decay_t<decltype(*field)>>(value); };
  };
  return {
      {"--time", to(&options->seconds)},
      {"--kills", to(&options->disturbances_max)},
      {"--seed", to(&options->seed)},
      {"--keys", to(&options->prepared_keys)},
      {"--memory", to(&options->memory_mib)},
      {"--workers", to(&options->workers)},
      {"--http1", to(&options->clients.http1_clients)},
      {"--http2", to(&options->clients.http2_clients)},
      {"--hot-keys", to(&options->clients.keys)},
      {"--pause", to(&options->pause_ms_max)},
      {"--storage-kills", to(&options->mix.storage_kills)},
      {"--worker-kills", to(&options->mix.worker_kills)},
      {"--faults", to(&options->mix.faults)},
      {"--reloads", to(&options->mix.reloads)},
      {"--powers", to(&options->mix.powers)},
  };
}

bool parse(int count, char** arguments, ChaosOptions* options) {
  const Setters setters = setters_of(options);
  for (int i = 1; i < count; i += 2) {
    const auto setter = setters.find(arguments[i]);
    if (setter == setters.end() || i + 1 == count) return false;
    char* end = nullptr;
    const double value = std::strtod(arguments[i + 1], &end);
    if (end == arguments[i + 1] || *end != '\0' || value < 0) return false;
    setter->second(value);
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  ::testing::InitGoogleTest(&count, arguments);
  ChaosOptions options;
  options.seconds = 60;
  options.mix = {.storage_kills = 10, .worker_kills = 6, .faults = 1, .reloads = 3, .powers = 1};
  if (!parse(count, arguments, &options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  options.clients.seed = options.seed;
  const small_db::testing::ChaosReport report = small_db::testing::run_chaos(options);
  std::fputs(report.text().c_str(), stdout);
  const bool passed = report.violations.empty() && ::testing::UnitTest::GetInstance()->Passed();
  std::puts(passed ? "passed" : "FAILED");
  return passed ? 0 : 1;
}
