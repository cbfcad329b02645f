// SPDX-License-Identifier: Apache-2.0
//
// Key-value metadata of a model, in the file's order, with typed access whose errors name the key.
// Strings and arrays are views: into the mapped file for a metadata that was read, or into strings
// that the metadata itself owns for one that was built.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace omg {

/// Value types under the numbers of the GGUF specification.
enum class MetadataType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// An array of numbers (little-endian `bytes`, unaligned), or of strings.
struct MetadataArray {
  MetadataType element_type;
  uint64_t count = 0;
  std::span<const std::byte> bytes;       // when element_type is not kString
  std::vector<std::string_view> strings;  // when element_type is kString
};

/// Unsigned types are held as uint64_t, signed ones as int64_t, floats as double.
struct MetadataValue {
  MetadataType type;
  std::variant<uint64_t, int64_t, double, bool, std::string_view, MetadataArray> data;
};

class Metadata {
 public:
  struct Entry {
    std::string_view key;
    MetadataValue value;
  };

  Metadata() = default;
  Metadata(Metadata&&) = default;
  Metadata& operator=(Metadata&&) = default;

  std::span<const Entry> entries() const { return entries_; }
  const MetadataValue* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  // Nothing when the key is absent. Error(kCorrupt) naming the key when its type does not convert:
  // any integer type serves as an integer within range, any number as a float.
  std::optional<uint32_t> find_u32(std::string_view key) const;
  std::optional<uint64_t> find_u64(std::string_view key) const;
  std::optional<float> find_f32(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  const MetadataArray* find_array(std::string_view key) const;

  // The same, but absence is Error(kCorrupt) "key 'x' is missing".
  uint32_t get_u32(std::string_view key) const;
  float get_f32(std::string_view key) const;
  std::string_view get_string(std::string_view key) const;
  /// Array of strings.
  const std::vector<std::string_view>& get_strings(std::string_view key) const;

  /// Numeric array converted element by element; nothing when absent, Error(kCorrupt) when it holds
  /// strings or a value out of range.
  std::optional<std::vector<float>> find_f32_array(std::string_view key) const;
  std::optional<std::vector<int32_t>> find_i32_array(std::string_view key) const;
  std::optional<std::vector<bool>> find_bool_array(std::string_view key) const;

  /// Adds an entry whose views outlive this object. False if the key is there already.
  bool add(std::string_view key, MetadataValue value);

  // For building: keys and values are copied in; an entry of the same key is replaced.
  void set_u32(std::string_view key, uint32_t value);
  void set_u64(std::string_view key, uint64_t value);
  void set_f32(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_strings(std::string_view key, std::span<const std::string> values);
  void set_f32_array(std::string_view key, std::span<const float> values);
  void set_i32_array(std::string_view key, std::span<const int32_t> values);
  /// Copies an entry of another metadata, strings included.
  void copy_entry(const Entry& entry);
  void erase(std::string_view key);

 private:
  std::string_view intern(std::string_view text);
  void set(std::string_view key, MetadataValue value);

  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, size_t> index_;
  std::deque<std::string> owned_;  // a deque: interned strings never move
};

}  // namespace omg
