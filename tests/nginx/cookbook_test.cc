// docs/COOKBOOK.md, run as it stands: every command of every section, against a real nginx, must
// print what the document says that it prints.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

struct Example {
  std::string command;
  std::string output;
};

struct Section {
  std::string title;
  std::vector<Example> examples;
};

std::vector<Section> read_cookbook() {
  std::vector<Section> sections;
  std::istringstream text(read_file(SMALL_DB_SOURCE_DIR "/docs/COOKBOOK.md"));
  bool in_block = false;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("## ", 0) == 0) {
      sections.push_back({line.substr(3), {}});
    } else if (line == "```console") {
      in_block = true;
    } else if (line == "```") {
      in_block = false;
    } else if (in_block && line.rfind("$ ", 0) == 0) {
      sections.back().examples.push_back({line.substr(2), ""});
    } else if (in_block) {
      sections.back().examples.back().output += line + "\n";
    }
  }
  return sections;
}

// Runs the command in `directory`, where files that examples make belong.
std::string run(const std::string& command, const std::string& directory, int port) {
  const std::string script = directory + "/command.sh";
  write_file(script, "cd " + directory + "\nDB=http://localhost:" + std::to_string(port) + "/v1\n" +
                         command + "\n");
  std::string output;
  FILE* pipe = popen(("bash " + script + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::array<char, 4096> buffer{};
  for (size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0;) {
    output.append(buffer.data(), got);
  }
  pclose(pipe);
  std::erase(output, '\r');
  // A document's output ends with its line.
  if (!output.empty() && output.back() != '\n') output += '\n';
  return output;
}

// `pattern` may hold … for any text within a line.
bool matches(const std::string& text, const std::string& pattern) {
  const std::string anything = "…";
  const size_t wild = pattern.find(anything);
  if (wild == std::string::npos) return text == pattern;
  const std::string after = pattern.substr(wild + anything.size());
  return text.rfind(pattern.substr(0, wild), 0) == 0 && text.size() >= after.size() &&
         text.compare(text.size() - after.size(), after.size(), after) == 0;
}

TEST(Cookbook, EveryExampleDoesWhatItSays) {
  const std::vector<Section> sections = read_cookbook();
  ASSERT_GE(sections.size(), 9u);
  for (const Section& section : sections) {
    ASSERT_FALSE(section.examples.empty()) << section.title;
    NginxServer server;
    server.start();
    const TempDirectory directory;
    for (const Example& example : section.examples) {
      const std::string output = run(example.command, directory.path(), server.port());
      EXPECT_TRUE(matches(output, example.output))
          << section.title << "\n$ " << example.command << "\n"
          << output << "instead of\n"
          << example.output;
    }
    server.stop();
  }
}

}  // namespace
}  // namespace small_db::testing
