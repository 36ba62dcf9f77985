#include "ngx_module/api/base64_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace small_db {

#if defined(__x86_64__)
namespace {

// Of a step: it reads a whole register, and encodes its first 12 bytes.
constexpr size_t kReadBytes = 16;
constexpr size_t kTakenBytes = 12;
constexpr size_t kWrittenBytes = 16;

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
  for (; at + kReadBytes <= bytes.size(); at += kTakenBytes, to += kWrittenBytes) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), characters_of(sextets_of(piece)));
  }
  return at;
}

const bool has_ssse3 = __builtin_cpu_supports("ssse3") != 0;

}  // namespace

size_t base64_encode_wide(Bytes bytes, char* to) noexcept {
  return has_ssse3 ? encode_ssse3(bytes, to) : 0;
}

#else

size_t base64_encode_wide(Bytes, char*) noexcept { return 0; }

#endif

}  // namespace small_db
