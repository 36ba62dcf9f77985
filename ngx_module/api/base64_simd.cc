#include "ngx_module/api/base64_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace small_db {

#if defined(__x86_64__)
namespace {

// A step works on a register. It encodes its first 12 bytes to 16 characters, or decodes 16
// characters to 12 bytes, behind which it writes 4 zeros.
constexpr size_t kRegisterBytes = 16;
constexpr size_t kStepBytes = 12;

// The sextets of 12 bytes, one in each byte of the result. Each 32-bit lane first gets three bytes
// in the order b1 b0 b2 b1, so that each sextet lies whole within one 16-bit half of it; two
// multiplications then do the work of four shifts.
// (W. Muła, D. Lemire: Faster Base64 Encoding and Decoding Using AVX2 Instructions, 2018,
// section 3.)
__attribute__((target("ssse3"))) __m128i sextets_of(__m128i bytes) noexcept {
  const __m128i lanes =
      _mm_shuffle_epi8(bytes, _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
  const __m128i first_and_third =
      _mm_mulhi_epu16(_mm_and_si128(lanes, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
  const __m128i second_and_fourth =
      _mm_mullo_epi16(_mm_and_si128(lanes, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
  return _mm_or_si128(first_and_third, second_and_fourth);
}

// A sextet's character is the sextet plus an offset, which is the same for all of a range of the
// alphabet: 13 stands for A..Z, 0 for a..z, 1 to 10 for a digit each, 11 for +, 12 for /.
__attribute__((target("ssse3"))) __m128i characters_of(__m128i sextets) noexcept {
  constexpr char kDigit = '0' - 52;
  const __m128i offsets =
      _mm_setr_epi8('a' - 26, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit,
                    kDigit, kDigit, '+' - 62, '/' - 63, 'A', 0, 0);
  const __m128i is_upper = _mm_cmpgt_epi8(_mm_set1_epi8(26), sextets);
  const __m128i range = _mm_or_si128(_mm_subs_epu8(sextets, _mm_set1_epi8(51)),
                                     _mm_and_si128(is_upper, _mm_set1_epi8(13)));
  return _mm_add_epi8(sextets, _mm_shuffle_epi8(offsets, range));
}

__attribute__((target("ssse3"))) size_t encode_ssse3(Bytes bytes, char* to) noexcept {
  size_t at = 0;
  for (; at + kRegisterBytes <= bytes.size(); at += kStepBytes, to += kRegisterBytes) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), characters_of(sextets_of(piece)));
  }
  return at;
}

// What must be added to a character to get its sextet; `valid` is false when one of the 16 is none
// of the alphabet's. The high half of a byte says which range it may be in: 2 for + and /, 3 for
// digits, 4 and 5 for A..Z, 6 and 7 for a..z. For each low half, a bit says that it is invalid in a
// range.
__attribute__((target("ssse3"))) __m128i decoding_offsets(__m128i text, bool* valid) noexcept {
  constexpr char kPunctuation = 1;   // 0x20..0x2f
  constexpr char kDigits = 2;        // 0x30..0x3f
  constexpr char kFirstLetters = 4;  // 0x40..0x4f, 0x60..0x6f
  constexpr char kLastLetters = 8;   // 0x50..0x5f, 0x70..0x7f
  constexpr char kOthers = 16;
  constexpr char kFew = kOthers | kPunctuation;
  const __m128i high_half = _mm_and_si128(_mm_srli_epi32(text, 4), _mm_set1_epi8(0x0f));
  const __m128i low_half = _mm_and_si128(text, _mm_set1_epi8(0x0f));
  const __m128i range =
      _mm_shuffle_epi8(_mm_setr_epi8(kOthers, kOthers, kPunctuation, kDigits, kFirstLetters,
                                     kLastLetters, kFirstLetters, kLastLetters, kOthers, kOthers,
                                     kOthers, kOthers, kOthers, kOthers, kOthers, kOthers),
                       high_half);
  const __m128i invalid_in = _mm_shuffle_epi8(
      _mm_setr_epi8(kFew | kFirstLetters, kFew, kFew, kFew, kFew, kFew, kFew, kFew, kFew, kFew,
                    kFew | kDigits, kOthers | kDigits | kLastLetters, kFew | kDigits | kLastLetters,
                    kFew | kDigits | kLastLetters, kFew | kDigits | kLastLetters,
                    kOthers | kDigits | kLastLetters),
      low_half);
  const __m128i is_good = _mm_cmpeq_epi8(_mm_and_si128(range, invalid_in), _mm_setzero_si128());
  *valid = _mm_movemask_epi8(is_good) == 0xffff;
  const __m128i offsets =
      _mm_shuffle_epi8(_mm_setr_epi8(0, 0, 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0, 0,
                                     0, 0, 0, 0, 0, 0),
                       high_half);
  const __m128i is_slash = _mm_cmpeq_epi8(text, _mm_set1_epi8('/'));
  constexpr char kSlashIsLess = '+' + 1 - '/';
  return _mm_add_epi8(offsets, _mm_and_si128(is_slash, _mm_set1_epi8(kSlashIsLess)));
}

// The 12 bytes of 16 sextets: multiplications shift neighbours to their places and add them.
__attribute__((target("ssse3"))) __m128i bytes_of(__m128i sextets) noexcept {
  const __m128i pairs = _mm_maddubs_epi16(sextets, _mm_set1_epi32(0x01400140));
  const __m128i groups = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00011000));
  return _mm_shuffle_epi8(groups,
                          _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
}

__attribute__((target("ssse3"))) size_t decode_ssse3(std::string_view text,
                                                     std::byte* to) noexcept {
  // Of two groups more, the first gives 3 bytes and the last at least 1: room for the zeros.
  constexpr size_t kMore = 8;
  size_t at = 0;
  for (; at + kRegisterBytes + kMore <= text.size(); at += kRegisterBytes, to += kStepBytes) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    bool valid = false;
    const __m128i offsets = decoding_offsets(piece, &valid);
    if (!valid) break;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes_of(_mm_add_epi8(piece, offsets)));
  }
  return at;
}

const bool has_ssse3 = __builtin_cpu_supports("ssse3") != 0;

}  // namespace

size_t base64_encode_wide(Bytes bytes, char* to) noexcept {
  return has_ssse3 ? encode_ssse3(bytes, to) : 0;
}

size_t base64_decode_wide(std::string_view text, std::byte* to) noexcept {
  return has_ssse3 ? decode_ssse3(text, to) : 0;
}

#else

size_t base64_encode_wide(Bytes, char*) noexcept { return 0; }
size_t base64_decode_wide(std::string_view, std::byte*) noexcept { return 0; }

#endif

}  // namespace small_db
