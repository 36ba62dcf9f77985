// Makes mutants of the engine: generate SOURCE_ROOT NAMED_LIST rewrites the sources below
// SOURCE_ROOT, a copy, and prints a line for each mutant: number, file:line, name (tab-separated).
//
// What is changed, each site on its own (tests/mutation/mutant.h switches it on):
//   check    `if (A || B) return <an error>`: A, or B, is taken for false
//   fact     `return A && B;` and `const bool x = A && B;`: A, or B, is taken for true
//   error    SMALL_DB_RETURN_IF_ERROR(x), if (!x.is_ok()) return …: an error of x is ignored
//   sync     file or directory is not synced
//   rename   a file is not renamed
//   named    what NAMED_LIST describes: mistakes that were made, elsewhere, before
//
// A mutant's name says kind, file, function and text, not the line: it stays the same while the
// code around it changes. Relies on clang-format: a function begins at the margin and ends with a
// brace there.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// At the end of a line that only a named mutant has: no other is made of it.
constexpr const char* kNamedMark = "  // named";

constexpr const char* kFolders[] = {"wal",      "checkpoint", "recovery",
                                    "platform", "committer",  "store"};
// Threads, whose order no test decides.
constexpr const char* kLeftOut[] = {"storage_worker.cc", "block_source.cc"};
// Where conditions are told in one expression, and each part of it is a rule of a format.
constexpr const char* kFactFolders[] = {"wal", "checkpoint", "recovery"};

[[noreturn]] void fail(const std::string& text) {
  std::cerr << "generate: " << text << "\n";
  std::exit(2);
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  if (!file) fail("can't read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The text with comments and the insides of literals blanked, at the same offsets.
std::string mask(const std::string& text) {
  std::string masked = text;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t end = i;
    if (text.compare(i, 2, "//") == 0) {
      end = text.find('\n', i);
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !std::isalnum(text[i - 1])))) {
      end = i + 1;
      while (end < text.size() && text[end] != text[i]) end += text[end] == '\\' ? 2 : 1;
      ++i;
    } else {
      continue;
    }
    for (; i < std::min(end, text.size()); ++i)
      if (masked[i] != '\n') masked[i] = ' ';
  }
  return masked;
}

// What is wrapped around [begin, end) of the text.
struct Site {
  size_t begin;
  size_t end;
  std::string kind;
  std::string before;  // "#" stands for the mutant's number
  std::string after;
};

struct Mutant {
  std::string place;
  std::string name;
};

class Source {
 public:
  Source(std::string path, std::string text, bool with_facts)
      : path_(std::move(path)), text_(std::move(text)), code_(mask(text_)), facts_(with_facts) {}

  void find_sites() {
    find_conditions();
    find_macro();
    find_calls("sync", std::regex(R"((->|\.)sync_data\(\)|\b(directory_?|log_)(\.|->)sync\(\))"));
    find_calls("rename", std::regex(R"(\bdirectory_?(\.|->)rename\()"));
    if (facts_) find_facts();
    std::erase_if(sites_, [this](const Site& site) { return is_named(site.begin); });
    std::sort(sites_.begin(), sites_.end(), [](const Site& a, const Site& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
  }

  // Numbers its mutants on from those that are there, and returns the mutated text.
  std::string mutate(std::vector<Mutant>& mutants) {
    std::map<size_t, std::string> insertions;
    for (const Site& site : sites_) {
      const std::string number = std::to_string(mutants.size() + 1);
      mutants.push_back({path_ + ":" + std::to_string(line_of(site.begin)), name_of(site)});
      insertions[site.begin] += std::regex_replace(site.before, std::regex("#"), number);
      insertions[site.end] = site.after + insertions[site.end];
    }
    std::string mutated;
    size_t at = 0;
    for (const auto& [offset, insertion] : insertions) {
      mutated.append(text_, at, offset - at).append(insertion);
      at = offset;
    }
    mutated.append(text_, at);
    const size_t include = mutated.find("#include");
    return mutated.insert(include == std::string::npos ? 0 : include,
                          "#include \"tests/mutation/mutant.h\"\n");
  }

 private:
  bool is_named(size_t offset) const {
    const size_t end = text_.find('\n', offset);
    const std::string mark = kNamedMark;
    return end != std::string::npos && end >= mark.size() &&
           text_.compare(end - mark.size(), mark.size(), mark) == 0;
  }

  size_t line_of(size_t offset) const {
    return static_cast<size_t>(std::count(text_.begin(), text_.begin() + offset, '\n')) + 1;
  }

  // The closing bracket of the one at `open`.
  size_t closing(size_t open) const {
    int depth = 0;
    for (size_t i = open; i < code_.size(); ++i) {
      if (std::string("([{").find(code_[i]) != std::string::npos) ++depth;
      if (std::string(")]}").find(code_[i]) != std::string::npos && --depth == 0) return i;
    }
    fail(path_ + ": unbalanced brackets");
  }

  // [begin, end) split at `separator` outside of all brackets, without the spaces around.
  std::vector<std::pair<size_t, size_t>> split(size_t begin, size_t end,
                                               const std::string& separator) const {
    std::vector<std::pair<size_t, size_t>> parts;
    size_t part = begin;
    for (size_t i = begin; i <= end; ++i) {
      if (i < end && std::string("([{").find(code_[i]) != std::string::npos) i = closing(i);
      if (i < end && code_.compare(i, separator.size(), separator) != 0) continue;
      size_t last = i;
      while (std::isspace(code_[part])) ++part;
      while (std::isspace(code_[last - 1])) --last;
      parts.emplace_back(part, last);
      i += separator.size() - 1;
      part = i + 1;
    }
    return parts;
  }

  // The last statement of what is done when the condition at `close` holds: its text.
  std::string consequence(size_t close) const {
    size_t begin = code_.find_first_not_of(" \n", close + 1);
    size_t end = code_.find(';', begin);
    if (code_[begin] == '{') {
      const size_t block = begin;
      end = code_.rfind(';', closing(begin));
      begin = code_.find_last_of(";{}", end - 1) + 1;
      // A brace within the statement: a status in braces.
      const size_t keyword = code_.rfind("return", end);
      if (keyword != std::string::npos && keyword > block && keyword < begin) begin = keyword;
    }
    begin = code_.find_first_not_of(" \n", begin);
    return text_.substr(begin, end - begin);
  }

  static bool is_error_return(const std::string& statement) {
    static const std::regex kError(
        "refuse|corrupt|Code::|status|stop\\(|nullopt|misplaced|changed|fail\\(|failure|\"[^\"]|"
        "kUnreadable|false|nullptr");
    return statement.compare(0, 7, "return ") == 0 && std::regex_search(statement, kError);
  }

  void find_conditions() {
    static const std::regex kIf("\\bif \\(");
    for (std::sregex_iterator at(code_.begin(), code_.end(), kIf), end; at != end; ++at) {
      const size_t open = static_cast<size_t>(at->position() + at->length()) - 1;
      const size_t close = closing(open);
      const std::string condition = code_.substr(open, close - open);
      static const std::regex kDeclaration(";|[^=!<>]=[^=]");
      if (std::regex_search(condition, kDeclaration) || !is_error_return(consequence(close)))
        continue;
      for (const auto& [begin, stop] : split(open + 1, close, "||")) {
        static const std::regex kSucceeded("\\w+\\.is_ok\\(\\)");
        if (std::regex_match(code_.substr(begin, stop - begin), kSucceeded)) continue;
        static const std::regex kFailed("!.*is_ok\\(\\)");
        const bool error = std::regex_match(code_.substr(begin, stop - begin), kFailed);
        sites_.push_back(
            {begin, stop, error ? "error" : "check", "(!small_db::mutation::on(#) && (", "))"});
      }
    }
  }

  void find_macro() {
    const std::string macro = "SMALL_DB_RETURN_IF_ERROR(";
    for (size_t at = code_.find(macro); at != std::string::npos; at = code_.find(macro, at + 1)) {
      const size_t open = at + macro.size() - 1;
      sites_.push_back({open + 1, closing(open), "error", "small_db::mutation::ignore(#, ", ")"});
    }
  }

  // Calls that return a Status, from the object on.
  void find_calls(const std::string& kind, const std::regex& call) {
    for (std::sregex_iterator at(code_.begin(), code_.end(), call), end; at != end; ++at) {
      size_t begin = static_cast<size_t>(at->position());
      int depth = 0;
      while (begin > 0) {
        const char c = code_[begin - 1];
        if (c == ')') ++depth;
        if (c == '(' && --depth < 0) break;
        if (depth == 0 && c != '(' && !std::isalnum(c) &&
            std::string("_.->:").find(c) == std::string::npos)
          break;
        --begin;
      }
      const size_t stop = closing(code_.find('(', at->position())) + 1;
      sites_.push_back(
          {begin, stop, kind, "(small_db::mutation::on(#) ? small_db::Status() : ", ")"});
    }
  }

  void find_facts() {
    static const std::regex kFact("(\\breturn|\\bconst bool \\w+ =)\\s");
    for (std::sregex_iterator at(code_.begin(), code_.end(), kFact), end; at != end; ++at) {
      const size_t begin = static_cast<size_t>(at->position() + at->length());
      const size_t stop = code_.find(';', begin);
      const std::string expression = code_.substr(begin, stop - begin);
      if (expression.find('{') != std::string::npos) continue;
      if (split(begin, stop, "||").size() > 1 || split(begin, stop, "?").size() > 1) continue;
      const auto parts = split(begin, stop, "&&");
      if (parts.size() < 2) continue;
      for (const auto& [from, to] : parts)
        sites_.push_back({from, to, "fact", "(small_db::mutation::on(#) || (", "))"});
    }
  }

  std::string function_of(size_t offset) const {
    static const std::regex kName("([A-Za-z_~][A-Za-z_0-9:~]*)\\(");
    // At the margin, or in a class.
    static const std::regex kBegin(
        "^[A-Za-z]|^  (?!if|for|while|switch|return|else|const Status|SMALL_DB_)[A-Za-z].*\\{$");
    for (size_t end = offset; end > 0;) {
      const size_t line = code_.rfind('\n', end - 1);
      const size_t begin = line == std::string::npos ? 0 : line + 1;
      const std::string text = code_.substr(begin, code_.find('\n', begin) - begin);
      std::smatch name;
      if (std::regex_search(text, kBegin) && std::regex_search(text, name, kName)) return name[1];
      if (line == std::string::npos) break;
      end = line;
    }
    return fs::path(path_).filename();
  }

  std::string name_of(const Site& site) {
    std::string text = text_.substr(site.begin, site.end - site.begin);
    text = std::regex_replace(text, std::regex("\\s+"), " ");
    const std::string name = site.kind + " " + path_ + " " + function_of(site.begin) + ": " + text;
    const int count = ++names_[name];
    return count == 1 ? name : name + " #" + std::to_string(count);
  }

  const std::string path_;
  const std::string text_;
  const std::string code_;
  const bool facts_;
  std::vector<Site> sites_;
  std::map<std::string, int> names_;
};

// A paragraph of the list: "# name", then for each place "@ file", lines "- as it is" and lines
// "+ as it becomes", in which MUTANT is true in the mutant. Lines are compared without the spaces
// at their ends.
struct Place {
  std::string file;
  std::vector<std::string> before;
  std::vector<std::string> after;
};

struct Named {
  std::string name;
  std::vector<Place> places;
};

std::vector<Named> read_named(const fs::path& path) {
  std::vector<Named> list;
  std::istringstream lines(read(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '!') continue;
    const std::string rest = line.size() > 2 ? line.substr(2) : "";
    if (line[0] == '#') list.push_back({rest, {}});
    if (list.empty()) fail("the list must begin with a name");
    std::vector<Place>& places = list.back().places;
    if (line[0] == '@') places.push_back({rest, {}, {}});
    if (line[0] == '-') places.back().before.push_back(rest);
    if (line[0] == '+') places.back().after.push_back(rest);
  }
  return list;
}

bool is_one_of(const std::string& one, const auto& list) {
  return std::find(std::begin(list), std::end(list), one) != std::end(list);
}

std::string trimmed(const std::string& line) {
  const size_t begin = line.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : line.substr(begin, line.find_last_not_of(' ') - begin + 1);
}

// Puts the mutant into the file. Each of its places must be there once.
std::string apply_place(const Place& place, const std::string& name, const std::string& text,
                        size_t number, size_t* line) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string one; std::getline(stream, one);) lines.push_back(one);
  std::vector<size_t> found;
  for (size_t i = 0; i + place.before.size() <= lines.size(); ++i) {
    bool same = true;
    for (size_t k = 0; same && k < place.before.size(); ++k)
      same = trimmed(lines[i + k]) == trimmed(place.before[k]);
    if (same) found.push_back(i);
  }
  if (found.size() != 1)
    fail("\"" + name + "\" fits " + std::to_string(found.size()) + " places of " + place.file);
  *line = found[0] + 1;
  std::string result;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i == found[0]) {
      const std::string indent(lines[i].find_first_not_of(' '), ' ');
      for (const std::string& one : place.after)
        result += indent +
                  std::regex_replace(one, std::regex("\\bMUTANT\\b"),
                                     "small_db::mutation::on(" + std::to_string(number) + ")") +
                  (is_one_of(one, place.before) ? "" : kNamedMark) + "\n";
      i += place.before.size() - 1;
    } else {
      result += lines[i] + "\n";
    }
  }
  return result;
}

std::vector<fs::path> sources(const fs::path& root) {
  std::vector<fs::path> paths;
  for (const char* folder : kFolders) {
    for (const auto& entry : fs::directory_iterator(root / "engine" / folder)) {
      const std::string extension = entry.path().extension();
      if (is_one_of(entry.path().filename(), kLeftOut)) continue;
      if (extension == ".cc" || extension == ".h") paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) fail("needs SOURCE_ROOT and NAMED_LIST");
  const fs::path root = arguments[1];
  const std::vector<Named> named = read_named(arguments[2]);
  std::vector<Mutant> mutants;
  for (const Named& one : named) mutants.push_back({"", "named " + one.name});
  for (const fs::path& path : sources(root)) {
    const std::string name = fs::relative(path, root);
    std::string text = read(path);
    // Sites are found in what is left of the original: both kinds may meet in one line.
    for (size_t i = 0; i < named.size(); ++i) {
      for (const Place& place : named[i].places) {
        if (place.file != name) continue;
        size_t line = 0;
        text = apply_place(place, named[i].name, text, i + 1, &line);
        mutants[i].place = name + ":" + std::to_string(line);
      }
    }
    Source source(name, text, is_one_of(path.parent_path().filename(), kFactFolders));
    source.find_sites();
    std::ofstream(path) << source.mutate(mutants);
  }
  for (size_t i = 0; i < mutants.size(); ++i) {
    if (mutants[i].place.empty()) fail("\"" + mutants[i].name + "\": no such file");
    std::cout << i + 1 << "\t" << mutants[i].place << "\t" << mutants[i].name << "\n";
  }
}
