// SPDX-License-Identifier: Apache-2.0
//
// The reader. A Cursor walks the header and is the only code that moves through the bytes; it
// compares every length with what is left, so nothing is ever added to a position unchecked.
#include "formats/gguf/reader.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/utf8.h"
#include "formats/gguf/format.h"

namespace omg::gguf {
namespace {

/// A position in the file, and the subject ("key 'x'", "tensor 'y'") that errors name.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }
  void set_subject(std::string subject) { subject_ = std::move(subject); }

  [[noreturn]] void fail(ErrorCode code, const std::string& why, uint64_t offset) const {
    throw Error(code, "cannot read " + path_ + ": " + subject_ + " at byte " +
                          std::to_string(offset) + ": " + why);
  }
  [[noreturn]] void fail(ErrorCode code, const std::string& why) const {
    fail(code, why, position_);
  }

  std::span<const std::byte> take(uint64_t count) {
    if (count > left()) {
      fail(ErrorCode::kCorrupt, "needs " + std::to_string(count) + " bytes and the file has only " +
                                    std::to_string(left()) +
                                    " left; an incomplete download must be fetched again");
    }
    const auto result = bytes_.subspan(position_, count);
    position_ += count;
    return result;
  }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  /// A length, then as many bytes.
  std::string_view string(uint64_t limit) {
    const uint64_t start = position_;
    const auto length = number<uint64_t>();
    if (length > left()) {
      fail(ErrorCode::kCorrupt,
           "a string of " + std::to_string(length) + " bytes where the file has only " +
               std::to_string(left()) + " left; an incomplete download must be fetched again",
           start);
    }
    if (length > limit) {
      fail(
          ErrorCode::kLimitExceeded,
          "a string of " + std::to_string(length) + " bytes; the limit is " + std::to_string(limit),
          start);
    }
    const auto text = take(length);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  /// A name: not empty, UTF-8.
  std::string_view name(uint64_t limit) {
    const uint64_t start = position_;
    const auto text = string(limit);
    if (text.empty()) fail(ErrorCode::kCorrupt, "the name is empty", start);
    if (!is_valid_utf8(text)) fail(ErrorCode::kCorrupt, "the name is not UTF-8", start);
    return text;
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& path_;
  uint64_t position_ = 0;
  std::string subject_ = "the header";
};

bool read_bool(Cursor& cursor) {
  const uint64_t start = cursor.position();
  const auto value = cursor.number<uint8_t>();
  if (value > 1) {
    cursor.fail(ErrorCode::kCorrupt, "a boolean of " + std::to_string(value), start);
  }
  return value == 1;
}

MetadataArray read_array(Cursor& cursor, uint64_t& strings_left) {
  const uint64_t start = cursor.position();
  MetadataArray array;
  const auto element_type = cursor.number<uint32_t>();
  array.element_type = static_cast<MetadataType>(element_type);
  array.count = cursor.number<uint64_t>();
  const bool is_strings = array.element_type == MetadataType::kString;
  if (array.element_type == MetadataType::kArray) {
    cursor.fail(ErrorCode::kUnsupported, "an array of arrays", start);
  }
  // Each string takes at least the 8 bytes of its length.
  const uint64_t element_bytes = is_strings ? 8 : scalar_bytes(array.element_type);
  if (element_bytes == 0) {
    cursor.fail(ErrorCode::kCorrupt, "an array of unknown type " + std::to_string(element_type),
                start);
  }
  const auto elements = std::to_string(array.count) + " elements";
  if (array.count > cursor.left() / element_bytes) {
    cursor.fail(ErrorCode::kCorrupt,
                "an array of " + elements + " where the file has only " +
                    std::to_string(cursor.left()) +
                    " bytes left; an incomplete download must be fetched again",
                start);
  }
  if (array.count > kMaxArrayElements || (is_strings && array.count > strings_left)) {
    cursor.fail(ErrorCode::kLimitExceeded,
                "an array of " + elements + "; the limit is " + std::to_string(kMaxArrayElements) +
                    " in one array and " + std::to_string(kMaxArrayStrings) + " strings in all",
                start);
  }
  if (is_strings) {
    strings_left -= array.count;
    array.strings.reserve(array.count);
    for (uint64_t i = 0; i < array.count; ++i) {
      array.strings.push_back(cursor.string(kMaxStringBytes));
    }
  } else if (array.element_type == MetadataType::kBool) {
    Cursor check = cursor;
    for (uint64_t i = 0; i < array.count; ++i) read_bool(check);
    array.bytes = cursor.take(array.count);
  } else {
    array.bytes = cursor.take(array.count * element_bytes);
  }
  return array;
}

MetadataValue read_value(Cursor& cursor, uint64_t& strings_left) {
  const uint64_t start = cursor.position();
  const auto number = cursor.number<uint32_t>();
  const auto type = static_cast<MetadataType>(number);
  switch (type) {
    case MetadataType::kU8:
      return {type, uint64_t{cursor.number<uint8_t>()}};
    case MetadataType::kI8:
      return {type, int64_t{cursor.number<int8_t>()}};
    case MetadataType::kU16:
      return {type, uint64_t{cursor.number<uint16_t>()}};
    case MetadataType::kI16:
      return {type, int64_t{cursor.number<int16_t>()}};
    case MetadataType::kU32:
      return {type, uint64_t{cursor.number<uint32_t>()}};
    case MetadataType::kI32:
      return {type, int64_t{cursor.number<int32_t>()}};
    case MetadataType::kF32:
      return {type, double{cursor.number<float>()}};
    case MetadataType::kBool:
      return {type, read_bool(cursor)};
    case MetadataType::kString:
      return {type, cursor.string(kMaxStringBytes)};
    case MetadataType::kArray:
      return {type, read_array(cursor, strings_left)};
    case MetadataType::kU64:
      return {type, cursor.number<uint64_t>()};
    case MetadataType::kI64:
      return {type, cursor.number<int64_t>()};
    case MetadataType::kF64:
      return {type, cursor.number<double>()};
  }
  cursor.fail(ErrorCode::kCorrupt, "unknown value type " + std::to_string(number), start);
}

struct Counts {
  uint32_t version;
  uint64_t tensors;
  uint64_t keys;
};

/// Magic, version and counts. A count is compared with what is left of the file first: an entry
/// takes at least `minimum` bytes, so a lying count ends here and allocates nothing.
Counts read_preamble(Cursor& cursor, const std::string& path) {
  if (cursor.left() < 4 || cursor.number<uint32_t>() != kMagic) {
    throw Error(
        ErrorCode::kCorrupt,
        "cannot read " + path + ": it is not a GGUF file (one begins with the letters GGUF)");
  }
  Counts counts{};
  counts.version = cursor.number<uint32_t>();
  const uint32_t swapped = __builtin_bswap32(counts.version);
  if (counts.version > 0xffff && swapped >= 1 && swapped <= 0xffff) {
    cursor.fail(ErrorCode::kUnsupported,
                "the file is big-endian (version " + std::to_string(swapped) +
                    " with its bytes reversed); convert it to little-endian",
                4);
  }
  if (counts.version < kMinVersion || counts.version > kVersion) {
    cursor.fail(ErrorCode::kUnsupported,
                "GGUF version " + std::to_string(counts.version) +
                    "; this build reads versions 2 and 3, so convert the model again",
                4);
  }
  const auto count = [&](const std::string& what, uint64_t minimum, uint64_t limit) {
    const uint64_t start = cursor.position();
    const auto value = cursor.number<uint64_t>();
    const auto said = "the header says " + std::to_string(value) + " " + what;
    if (value > cursor.left() / minimum) {
      cursor.fail(ErrorCode::kCorrupt,
                  said + " where the file has only " + std::to_string(cursor.left()) +
                      " bytes left; an incomplete download must be fetched again",
                  start);
    }
    if (value > limit) {
      cursor.fail(ErrorCode::kLimitExceeded, said + "; the limit is " + std::to_string(limit),
                  start);
    }
    return value;
  };
  counts.tensors = count("tensors", 8 + 1 + 4 + 8 + 4 + 8, kMaxTensors);
  counts.keys = count("keys", 8 + 1 + 4 + 1, kMaxKeys);
  return counts;
}

Metadata read_metadata(Cursor& cursor, uint64_t count) {
  Metadata metadata;
  uint64_t strings_left = kMaxArrayStrings;
  for (uint64_t i = 0; i < count; ++i) {
    cursor.set_subject("key number " + std::to_string(i));
    const uint64_t start = cursor.position();
    const auto key = cursor.name(kMaxKeyBytes);
    cursor.set_subject("key '" + std::string(key) + "'");
    if (!metadata.add(key, read_value(cursor, strings_left))) {
      cursor.fail(ErrorCode::kCorrupt, "the file has this key twice", start);
    }
  }
  return metadata;
}

uint64_t read_alignment(Cursor& cursor, const Metadata& metadata) {
  cursor.set_subject("key '" + std::string(kAlignmentKey) + "' before the tensors");
  const MetadataValue* value = metadata.find(kAlignmentKey);
  if (!value) return kDefaultAlignment;
  const auto* number = std::get_if<uint64_t>(&value->data);
  if (!number || !is_valid_alignment(*number)) {
    cursor.fail(ErrorCode::kCorrupt,
                "must be a power of two, at most " + std::to_string(kMaxAlignment));
  }
  return *number;
}

struct Placement {
  uint64_t offset;  // from the beginning of the tensors' data
  uint64_t bytes;
  uint64_t declared_at;  // where the header says so, for errors
};

/// Rank, dimensions and type; returns the tensor's size in bytes.
uint64_t read_shape(Cursor& cursor, TensorView& tensor) {
  uint64_t start = cursor.position();
  tensor.rank = cursor.number<uint32_t>();
  if (tensor.rank < 1 || tensor.rank > kMaxRank) {
    cursor.fail(ErrorCode::kCorrupt,
                std::to_string(tensor.rank) + " dimensions; 1 to 4 are allowed", start);
  }
  std::optional<uint64_t> elements = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    start = cursor.position();
    tensor.shape[i] = cursor.number<uint64_t>();
    if (tensor.shape[i] == 0) {
      cursor.fail(ErrorCode::kCorrupt, "dimension " + std::to_string(i) + " is 0", start);
    }
    elements = checked_mul(*elements, tensor.shape[i]);
    if (!elements) {
      cursor.fail(ErrorCode::kCorrupt, "its dimensions multiply to more than 2^64", start);
    }
  }
  start = cursor.position();
  const auto number = cursor.number<uint32_t>();
  const auto type = weight_type_from_number(number);
  if (!type) {
    cursor.fail(ErrorCode::kUnsupported,
                "its weight type " + weight_type_name_of_number(number) +
                    " is not supported; take a file of another quantisation",
                start);
  }
  tensor.type = *type;
  if (tensor.shape[0] % info(*type).block_elements != 0) {
    cursor.fail(ErrorCode::kCorrupt,
                "its rows of " + std::to_string(tensor.shape[0]) +
                    " elements are no whole number of " + std::string(info(*type).name) +
                    " blocks of " + std::to_string(info(*type).block_elements),
                start);
  }
  const auto row = row_bytes(*type, tensor.shape[0]);
  const auto bytes = row ? checked_mul(*row, tensor.rows()) : std::nullopt;
  if (!bytes) cursor.fail(ErrorCode::kCorrupt, "its size is more than 2^64 bytes", start);
  return *bytes;
}

std::string tensor_subject(std::string_view name) {
  return "tensor '" + std::string(name) + "'";
}

/// Data of two tensors in one place would let a small file unfold to any amount of memory.
void check_overlap(Cursor& cursor, std::span<const TensorView> tensors,
                   std::span<const Placement> places) {
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return places[a].offset < places[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const auto& before = places[order[i - 1]];
    const auto& here = places[order[i]];
    if (here.offset - before.offset >= before.bytes) continue;
    cursor.set_subject(tensor_subject(tensors[order[i]].name));
    cursor.fail(ErrorCode::kCorrupt,
                "its data overlaps that of " + tensor_subject(tensors[order[i - 1]].name),
                here.declared_at);
  }
}

std::vector<TensorView> read_tensors(Cursor& cursor, std::span<const std::byte> bytes,
                                     uint64_t count, uint64_t alignment) {
  std::vector<TensorView> tensors(count);
  std::vector<Placement> places(count);
  std::unordered_set<std::string_view> names;
  names.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    cursor.set_subject("tensor number " + std::to_string(i));
    const uint64_t start = cursor.position();
    tensors[i].name = cursor.name(kMaxTensorNameBytes);
    cursor.set_subject(tensor_subject(tensors[i].name));
    if (!names.insert(tensors[i].name).second) {
      cursor.fail(ErrorCode::kCorrupt, "the file has this tensor twice", start);
    }
    places[i].bytes = read_shape(cursor, tensors[i]);
    places[i].declared_at = cursor.position();
    places[i].offset = cursor.number<uint64_t>();
    if (places[i].offset % alignment != 0) {
      cursor.fail(ErrorCode::kCorrupt,
                  "its offset " + std::to_string(places[i].offset) +
                      " is no multiple of the alignment " + std::to_string(alignment),
                  places[i].declared_at);
    }
  }
  // The position is below the file's size and the alignment below 2^20, so this cannot wrap. A file
  // without tensors may end before its padding.
  const uint64_t data_start = (cursor.position() + alignment - 1) / alignment * alignment;
  const uint64_t data_bytes = bytes.size() - std::min<uint64_t>(bytes.size(), data_start);
  for (uint64_t i = 0; i < count; ++i) {
    if (!range_fits(places[i].offset, places[i].bytes, data_bytes)) {
      cursor.set_subject(tensor_subject(tensors[i].name));
      cursor.fail(ErrorCode::kCorrupt,
                  "its data (" + std::to_string(places[i].bytes) + " bytes at offset " +
                      std::to_string(places[i].offset) + ") lies beyond the " +
                      std::to_string(data_bytes) +
                      " bytes of data in the file; an incomplete download must be fetched again",
                  places[i].declared_at);
    }
    tensors[i].bytes = bytes.subspan(data_start + places[i].offset, places[i].bytes);
  }
  check_overlap(cursor, tensors, places);
  return tensors;
}

}  // namespace

std::optional<std::string> peek_architecture(std::span<const std::byte> first_bytes,
                                             const std::string& path) {
  Cursor cursor(first_bytes, path);
  const Counts counts = read_preamble(cursor, path);
  uint64_t strings_left = kMaxArrayStrings;
  try {
    for (uint64_t i = 0; i < counts.keys; ++i) {
      const auto key = cursor.name(kMaxKeyBytes);
      const MetadataValue value = read_value(cursor, strings_left);
      const auto* text = std::get_if<std::string_view>(&value.data);
      if (key == "general.architecture" && text) return std::string(*text);
    }
  } catch (const Error&) {
    // The bytes end within a value, or are bad there: parse() says so when all of them are here.
  }
  return std::nullopt;
}

Header parse(std::span<const std::byte> bytes, const std::string& path) {
  Cursor cursor(bytes, path);
  const Counts counts = read_preamble(cursor, path);
  Header header;
  header.version = counts.version;
  header.metadata = read_metadata(cursor, counts.keys);
  header.alignment = read_alignment(cursor, header.metadata);
  header.tensors = read_tensors(cursor, bytes, counts.tensors, header.alignment);
  return header;
}

}  // namespace omg::gguf
