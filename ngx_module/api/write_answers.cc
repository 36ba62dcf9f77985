#include "ngx_module/api/write_answers.h"

#include "engine/record/counter.h"
#include "ngx_module/api/json_text.h"
#include "ngx_module/api/problem.h"

namespace small_db {

CounterBody::CounterBody(int64_t number, uint64_t revision) noexcept {
  char* to = write_text(R"({"value":")", text_.data());
  to = write_text(CounterText(number).text(), to);
  to = write_text(R"(","revision":)", to);
  to = write_text(DetailPiece(revision).text(), to);
  *to++ = '}';
  length_ = static_cast<size_t>(to - text_.data());
}

CountBody::CountBody(uint64_t revision, uint64_t count) noexcept {
  char* to = write_text(R"({"ok":true,"revision":)", text_.data());
  to = write_text(DetailPiece(revision).text(), to);
  to = write_text(R"(,"count":)", to);
  to = write_text(DetailPiece(count).text(), to);
  *to++ = '}';
  length_ = static_cast<size_t>(to - text_.data());
}

}  // namespace small_db
