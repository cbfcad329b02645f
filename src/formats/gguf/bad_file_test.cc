// SPDX-License-Identifier: Apache-2.0
//
// One bad file for every check that the reader makes, then damage at every byte of a good one.
#include <functional>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/gguf/format.h"
#include "formats/gguf/reader.h"
#include "formats/gguf/testing.h"

namespace omg::gguf {
namespace {

using testing::Bytes;

/// Copies to the heap at exact size, so that the address sanitizer sees a step beyond the end.
Header parse_exact(std::string_view text) {
  const std::vector<std::byte> bytes(std::as_bytes(std::span(text)).begin(),
                                     std::as_bytes(std::span(text)).end());
  return parse(bytes, "bad.gguf");
}

/// `bytes` must be refused with this code, in a message that has the file and all of `parts`.
void expect_error(const Bytes& bytes, ErrorCode code, std::vector<std::string> parts) {
  try {
    parse_exact(bytes.text());
    ADD_FAILURE() << "accepted; expected " << parts.front();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.code(), code) << message;
    parts.push_back("bad.gguf");
    for (const auto& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << "no '" << part << "' in: " << message;
    }
  }
}

void expect_corrupt(const Bytes& bytes, std::vector<std::string> parts) {
  expect_error(bytes, ErrorCode::kCorrupt, std::move(parts));
}

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4K = 12;
constexpr uint64_t kHuge = ~uint64_t{0};

/// One key, then the value's type number and bytes.
Bytes with_value(uint32_t type, const Bytes& value) {
  return Bytes().preamble(0, 1).string("some.key").u32(type).raw(value.text()).zeros(64);
}

/// One tensor and 64 bytes of data.
Bytes with_tensor(const Bytes& declaration) {
  return Bytes().preamble(1, 0).raw(declaration.text()).pad().zeros(64);
}

TEST(BadGguf, NotOneAtAll) {
  for (const char* text : {"", "G", "GGU", "GGML", "PK\3\4 and so on", "FUGG"}) {
    expect_corrupt(Bytes().raw(text), {"not a GGUF file"});
  }
}

TEST(BadGguf, Versions) {
  expect_error(Bytes().preamble(0, 0, 0), ErrorCode::kUnsupported, {"version 0", "byte 4"});
  expect_error(Bytes().preamble(0, 0, 1), ErrorCode::kUnsupported, {"version 1", "byte 4"});
  expect_error(Bytes().preamble(0, 0, 4), ErrorCode::kUnsupported, {"version 4"});
  expect_error(Bytes().preamble(0, 0, 0x03000000), ErrorCode::kUnsupported, {"big-endian"});
  EXPECT_EQ(parse_exact(Bytes().preamble(0, 0, 2).text()).version, 2u);
  EXPECT_EQ(parse_exact(Bytes().preamble(0, 0, 3).text()).version, 3u);
}

TEST(BadGguf, ShortPreamble) {
  expect_corrupt(Bytes().raw("GGUF"), {"the header", "byte 4", "needs 4 bytes"});
  expect_corrupt(Bytes().raw("GGUF").u32(3).u32(0), {"byte 8", "needs 8 bytes"});
}

TEST(BadGguf, CountsBeyondTheFile) {
  expect_corrupt(Bytes().preamble(kHuge, 0), {"tensors", "byte 8", "18446744073709551615"});
  expect_corrupt(Bytes().preamble(0, kHuge), {"keys", "byte 16"});
  expect_corrupt(Bytes().preamble(2, 0).zeros(50), {"2 tensors"});
  expect_corrupt(Bytes().preamble(0, 2).zeros(27), {"2 keys"});
}

TEST(BadGguf, CountsBeyondTheLimits) {
  expect_error(Bytes().preamble(kMaxTensors + 1, 0).zeros(kMaxTensors * 40),
               ErrorCode::kLimitExceeded, {"131073 tensors", "byte 8"});
  expect_error(Bytes().preamble(0, kMaxKeys + 1).zeros(kMaxKeys * 16), ErrorCode::kLimitExceeded,
               {"65537 keys", "byte 16"});
}

TEST(BadGguf, Keys) {
  const auto key = [](const Bytes& name) { return Bytes().preamble(0, 1).raw(name.text()); };
  expect_corrupt(key(Bytes().u64(kHuge).zeros(64)), {"key number 0", "byte 24"});
  expect_corrupt(key(Bytes().string("").zeros(64)), {"empty", "byte 24"});
  expect_corrupt(key(Bytes().string("\xc0\xaf").zeros(64)), {"not UTF-8"});
  expect_error(key(Bytes().string(std::string(65536, 'k')).zeros(64)), ErrorCode::kLimitExceeded,
               {"65536 bytes", "65535"});
  expect_corrupt(Bytes().preamble(0, 2).key_u32("twin", 1).key_u32("twin", 2),
                 {"'twin'", "twice", "byte 44"});
}

TEST(BadGguf, Values) {
  expect_corrupt(with_value(13, Bytes()), {"'some.key'", "value type 13", "byte 40"});
  expect_corrupt(with_value(kHuge & 0xffffffff, Bytes()), {"4294967295"});
  expect_corrupt(with_value(7, Bytes().u8(2)), {"'some.key'", "boolean of 2", "byte 44"});
  expect_corrupt(with_value(8, Bytes().u64(kHuge)), {"'some.key'", "byte 44"});
  expect_error(with_value(8, Bytes().u64(kMaxStringBytes + 1).zeros(kMaxStringBytes + 1)),
               ErrorCode::kLimitExceeded, {"'some.key'", "67108865"});
  for (const uint32_t type : {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12}) {
    expect_corrupt(Bytes().preamble(0, 1).string("key").u32(type), {"'key'", "0 left"});
  }
}

TEST(BadGguf, Arrays) {
  const auto array = [](uint32_t type, uint64_t count, const Bytes& elements) {
    return with_value(9, Bytes().u32(type).u64(count).raw(elements.text()));
  };
  expect_error(array(9, 1, Bytes()), ErrorCode::kUnsupported, {"array of arrays", "byte 44"});
  expect_corrupt(array(13, 1, Bytes()), {"unknown type 13"});
  expect_corrupt(array(4, kHuge, Bytes()), {"'some.key'", "18446744073709551615 elements"});
  expect_corrupt(array(12, (kHuge >> 3) + 2, Bytes()), {"elements"});  // times 8 wraps to 8
  expect_corrupt(array(4, 17, Bytes()), {"17 elements", "64 bytes"});
  expect_corrupt(array(8, 9, Bytes()), {"9 elements"});
  expect_corrupt(array(8, 2, Bytes().string("fine").u64(kHuge)), {"byte 68"});
  expect_corrupt(array(7, 3, Bytes().u8(1).u8(0).u8(7)), {"boolean of 7", "byte 58"});
  expect_error(array(0, kMaxArrayElements + 1, Bytes().zeros(kMaxArrayElements + 1)),
               ErrorCode::kLimitExceeded, {"4194305 elements"});
}

TEST(BadGguf, StringsOfAllArraysTogether) {
  Bytes bytes;
  bytes.preamble(0, 3);
  for (const char* key : {"a", "b", "c"}) {
    bytes.string(key).u32(9).u32(8).u64(kMaxArrayElements).zeros(kMaxArrayElements * 8);
  }
  expect_error(bytes, ErrorCode::kLimitExceeded, {"'c'", "8388608 strings"});
}

TEST(BadGguf, Alignment) {
  for (const uint32_t alignment : {0u, 3u, 48u, uint32_t{kMaxAlignment} * 2}) {
    expect_corrupt(Bytes().preamble(0, 1).key_u32("general.alignment", alignment),
                   {"'general.alignment'", "power of two"});
  }
  expect_corrupt(Bytes().preamble(0, 1).string("general.alignment").u32(8).string("32"),
                 {"'general.alignment'"});
}

TEST(BadGguf, TensorNames) {
  expect_corrupt(with_tensor(Bytes().u64(kHuge).zeros(40)), {"tensor number 0", "byte 24"});
  expect_corrupt(with_tensor(Bytes().tensor("", {1}, kF32, 0).zeros(1)), {"empty"});
  expect_corrupt(with_tensor(Bytes().tensor("\xff", {1}, kF32, 0)), {"not UTF-8"});
  expect_error(with_tensor(Bytes().tensor(std::string(257, 'x'), {1}, kF32, 0)),
               ErrorCode::kLimitExceeded, {"257"});
  expect_corrupt(
      Bytes().preamble(2, 0).tensor("t", {1}, kF32, 0).tensor("t", {1}, kF32, 32).pad().zeros(64),
      {"'t'", "twice"});
}

TEST(BadGguf, TensorShapes) {
  expect_corrupt(with_tensor(Bytes().tensor("t", {}, kF32, 0).zeros(8)),
                 {"'t'", "0 dimensions", "byte 33"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {1, 1, 1, 1, 1}, kF32, 0)), {"5 dimensions"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {4, 0}, kF32, 0)),
                 {"'t'", "dimension 1 is 0", "byte 45"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {kHuge, 2}, kF32, 0)), {"2^64"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {1ull << 32, 1ull << 32}, kF32, 0)), {"2^64"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {1ull << 62}, kF32, 0)), {"2^64 bytes"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {1ull << 60, 15}, kF32, 0)), {"2^64 bytes"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {128}, kQ4K, 0)),
                 {"'t'", "128 elements", "Q4_K", "256"});
}

TEST(BadGguf, TensorTypes) {
  expect_error(with_tensor(Bytes().tensor("t", {256}, 16, 0)), ErrorCode::kUnsupported,
               {"'t'", "IQ2_XXS", "byte 45"});
  expect_error(with_tensor(Bytes().tensor("t", {256}, 4711, 0)), ErrorCode::kUnsupported,
               {"'t'", "type 4711"});
}

TEST(BadGguf, TensorPlaces) {
  expect_corrupt(with_tensor(Bytes().tensor("t", {4}, kF32, 8)),
                 {"'t'", "offset 8", "alignment 32", "byte 49"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {17}, kF32, 0)), {"'t'", "68 bytes", "64 bytes"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {9}, kF32, 32)), {"'t'", "beyond"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {1}, kF32, 96)), {"'t'", "beyond"});
  expect_corrupt(with_tensor(Bytes().tensor("t", {16}, kF32, kHuge - 31)), {"'t'", "beyond"});
  // The header ends where the file does: there is no data at all.
  expect_corrupt(Bytes().preamble(1, 0).tensor("t", {1}, kF32, 0), {"0 bytes of data"});
  EXPECT_EQ(parse_exact(with_tensor(Bytes().tensor("t", {16}, kF32, 0)).text()).tensors.size(), 1u);
}

TEST(BadGguf, TensorsThatOverlap) {
  expect_corrupt(
      Bytes().preamble(2, 0).tensor("a", {9}, kF32, 0).tensor("b", {8}, kF32, 32).pad().zeros(64),
      {"'a'", "'b'", "overlaps"});
  expect_corrupt(
      Bytes().preamble(2, 0).tensor("a", {8}, kF32, 32).tensor("b", {8}, kF32, 32).pad().zeros(64),
      {"'a'", "'b'", "overlaps"});
}

/// Touches what a loader touches, so that a bad view is a crash here.
void use(const Header& header) {
  for (const auto& entry : header.metadata.entries()) {
    try {
      if (entry.value.type == MetadataType::kArray) header.metadata.find_f32_array(entry.key);
      header.metadata.find_u32(entry.key);
    } catch (const Error&) {
    }
  }
  for (const auto& tensor : header.tensors) {
    ASSERT_FALSE(tensor.bytes.empty());
    volatile const std::byte first = tensor.bytes.front();
    volatile const std::byte last = tensor.bytes.back();
    static_cast<void>(first);
    static_cast<void>(last);
  }
}

Bytes good_file() {
  Bytes bytes;
  bytes.preamble(2, 5);
  bytes.string("general.architecture").u32(8).string("llama");
  bytes.key_u32("general.alignment", 32);
  bytes.string("flag").u32(7).u8(1);
  bytes.string("tokens").u32(9).u32(8).u64(2).string("a").string("bc");
  bytes.string("scores").u32(9).u32(6).u64(2).number(1.0f).number(2.0f);
  bytes.tensor("token_embd.weight", {8, 2}, kF32, 0);
  bytes.tensor("output.weight", {256, 1}, kQ4K, 64);
  return bytes.pad().zeros(64 + 144);
}

/// Parses, from a copy that lies in memory as `use` needs it; true if it was accepted.
bool parses(std::string_view text) {
  const std::vector<std::byte> bytes(std::as_bytes(std::span(text)).begin(),
                                     std::as_bytes(std::span(text)).end());
  try {
    use(parse(bytes, "bad.gguf"));
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(BadGguf, TruncatedAtEveryByte) {
  const std::string text = good_file().text();
  ASSERT_TRUE(parses(text));
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parses(std::string_view(text).substr(0, size))) << size;
  }
}

TEST(BadGguf, EveryBitFlippedNeverCrashes) {
  const std::string text = good_file().text();
  size_t refused = 0;
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    refused += !parses(damaged);
  }
  EXPECT_GT(refused, 1500u);  // most of the header; flips in names and data are no errors
}

TEST(BadGguf, EveryByteSetToExtremesNeverCrashes) {
  const std::string text = good_file().text();
  for (size_t i = 0; i < text.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(value);
      parses(damaged);
      if (i + 8 > text.size()) continue;
      std::memset(damaged.data() + i, value, 8);  // a whole 64-bit field
      parses(damaged);
    }
  }
}

}  // namespace
}  // namespace omg::gguf
