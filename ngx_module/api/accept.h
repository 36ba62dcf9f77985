// What a client accepts (RFC 9110 section 12.5.1), as far as answers differ by it: a value as JSON,
// or as the bytes that it is. Pure functions over the caller's memory; worker processes call them.
//
// Ranges that can't be read are passed over: nobody is refused for what they would rather have.
#pragma once

#include <cstdint>
#include <string_view>

namespace small_db {

class Accept {
 public:
  // One Accept field; a request may have many.
  void add(std::string_view field) noexcept;

  // True when application/octet-stream is wanted more than application/json. Not with a tie: who
  // takes anything gets JSON.
  bool prefers_bytes() const noexcept { return bytes_.permille > json_.permille; }

 private:
  // The most specific range that a type falls under decides. */* is 1, application/* 2, the type
  // itself 3; 0: none so far.
  struct Preference {
    uint32_t specificity = 0;
    uint32_t permille = 0;
  };
  static void apply(std::string_view range, uint32_t permille, std::string_view subtype,
                    Preference* preference) noexcept;
  void add_range(std::string_view element) noexcept;
  void add_anything() noexcept;  // the range */*

  Preference bytes_;
  Preference json_;
};

}  // namespace small_db
