// SPDX-License-Identifier: Apache-2.0
//
// Typed access to metadata, and building of one.
#include "formats/metadata.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace omg {
namespace {

[[noreturn]] void fail(std::string_view key, const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "metadata key '" + std::string(key) + "' " + why);
}

/// Either sign of integer in one range; nothing when `data` is no integer or lies outside [low,
/// high]. `high` may be the whole of uint64_t, so the two signs are compared apart.
template <typename Variant>
std::optional<uint64_t> as_unsigned(const Variant& data, uint64_t high) {
  if (const auto* u = std::get_if<uint64_t>(&data)) {
    return *u <= high ? std::optional(*u) : std::nullopt;
  }
  if (const auto* i = std::get_if<int64_t>(&data)) {
    if (*i >= 0 && static_cast<uint64_t>(*i) <= high) return static_cast<uint64_t>(*i);
  }
  return std::nullopt;
}

uint64_t get_unsigned(std::string_view key, const MetadataValue& value, uint64_t high) {
  const auto number = as_unsigned(value.data, high);
  if (!number) fail(key, "must be an integer from 0 to " + std::to_string(high));
  return *number;
}

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

using Number = std::variant<uint64_t, int64_t, double, bool>;

Number array_element(const MetadataArray& array, uint64_t index) {
  const std::byte* at = array.bytes.data() + index * (array.bytes.size() / array.count);
  switch (array.element_type) {
    case MetadataType::kU8:
      return uint64_t{load<uint8_t>(at)};
    case MetadataType::kI8:
      return int64_t{load<int8_t>(at)};
    case MetadataType::kU16:
      return uint64_t{load<uint16_t>(at)};
    case MetadataType::kI16:
      return int64_t{load<int16_t>(at)};
    case MetadataType::kU32:
      return uint64_t{load<uint32_t>(at)};
    case MetadataType::kI32:
      return int64_t{load<int32_t>(at)};
    case MetadataType::kU64:
      return load<uint64_t>(at);
    case MetadataType::kI64:
      return load<int64_t>(at);
    case MetadataType::kF32:
      return double{load<float>(at)};
    case MetadataType::kF64:
      return load<double>(at);
    default:
      assert(array.element_type == MetadataType::kBool);
      return load<uint8_t>(at) != 0;
  }
}

std::optional<float> to_f32(const Number& number) {
  if (const auto* u = std::get_if<uint64_t>(&number)) return static_cast<float>(*u);
  if (const auto* i = std::get_if<int64_t>(&number)) return static_cast<float>(*i);
  if (const auto* d = std::get_if<double>(&number)) {
    // Beyond float's range the conversion is undefined; an infinity in the file stays one.
    if (std::isfinite(*d) && std::abs(*d) > std::numeric_limits<float>::max()) return std::nullopt;
    return static_cast<float>(*d);
  }
  return std::nullopt;
}

std::optional<int32_t> to_i32(const Number& number) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (const auto u = as_unsigned(number, kMax)) return static_cast<int32_t>(*u);
  if (const auto* i = std::get_if<int64_t>(&number)) {
    if (*i < 0 && *i >= -kMax - 1) return static_cast<int32_t>(*i);
  }
  return std::nullopt;
}

std::optional<bool> to_bool(const Number& number) {
  if (const auto* b = std::get_if<bool>(&number)) return *b;
  if (const auto u = as_unsigned(number, 1)) return *u == 1;
  return std::nullopt;
}

template <typename T, typename Convert>
std::optional<std::vector<T>> convert_array(const Metadata& metadata, std::string_view key,
                                            std::string_view wanted, Convert convert) {
  const MetadataArray* array = metadata.find_array(key);
  if (!array) return std::nullopt;
  if (array->element_type == MetadataType::kString) {
    fail(key, "must be an array of " + std::string(wanted) + ", not of strings");
  }
  std::vector<T> result;
  result.reserve(array->count);
  for (uint64_t i = 0; i < array->count; ++i) {
    const auto value = convert(array_element(*array, i));
    if (!value) {
      fail(key, "must be an array of " + std::string(wanted) + ": element " + std::to_string(i) +
                    " is not");
    }
    result.push_back(*value);
  }
  return result;
}

template <typename T>
T required(std::optional<T> value, std::string_view key) {
  if (!value) fail(key, "is missing");
  return *value;
}

template <typename T>
std::string_view as_text(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

std::optional<uint32_t> Metadata::find_u32(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return static_cast<uint32_t>(get_unsigned(key, *value, std::numeric_limits<uint32_t>::max()));
}

std::optional<uint64_t> Metadata::find_u64(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return get_unsigned(key, *value, std::numeric_limits<uint64_t>::max());
}

std::optional<float> Metadata::find_f32(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  std::optional<float> number;
  if (const auto* u = std::get_if<uint64_t>(&value->data)) number = to_f32(*u);
  if (const auto* i = std::get_if<int64_t>(&value->data)) number = to_f32(*i);
  if (const auto* d = std::get_if<double>(&value->data)) number = to_f32(*d);
  if (!number) fail(key, "must be a number in the range of a 32-bit float");
  return number;
}

std::optional<bool> Metadata::find_bool(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const auto* flag = std::get_if<bool>(&value->data);
  if (!flag) fail(key, "must be a boolean");
  return *flag;
}

std::optional<std::string_view> Metadata::find_string(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const auto* text = std::get_if<std::string_view>(&value->data);
  if (!text) fail(key, "must be a string");
  return *text;
}

const MetadataArray* Metadata::find_array(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return nullptr;
  const auto* array = std::get_if<MetadataArray>(&value->data);
  if (!array) fail(key, "must be an array");
  return array;
}

uint32_t Metadata::get_u32(std::string_view key) const {
  return required(find_u32(key), key);
}

float Metadata::get_f32(std::string_view key) const {
  return required(find_f32(key), key);
}

std::string_view Metadata::get_string(std::string_view key) const {
  return required(find_string(key), key);
}

const std::vector<std::string_view>& Metadata::get_strings(std::string_view key) const {
  const MetadataArray* array = find_array(key);
  if (!array) fail(key, "is missing");
  if (array->element_type != MetadataType::kString) fail(key, "must be an array of strings");
  return array->strings;
}

std::optional<std::vector<float>> Metadata::find_f32_array(std::string_view key) const {
  return convert_array<float>(*this, key, "numbers in the range of a 32-bit float", to_f32);
}

std::optional<std::vector<int32_t>> Metadata::find_i32_array(std::string_view key) const {
  return convert_array<int32_t>(*this, key, "32-bit integers", to_i32);
}

std::optional<std::vector<bool>> Metadata::find_bool_array(std::string_view key) const {
  return convert_array<bool>(*this, key, "booleans", to_bool);
}

bool Metadata::add(std::string_view key, MetadataValue value) {
  if (!index_.emplace(key, entries_.size()).second) return false;
  entries_.push_back({key, std::move(value)});
  return true;
}

void Metadata::set_u32(std::string_view key, uint32_t value) {
  set(key, {MetadataType::kU32, uint64_t{value}});
}

void Metadata::set_u64(std::string_view key, uint64_t value) {
  set(key, {MetadataType::kU64, value});
}

void Metadata::set_f32(std::string_view key, float value) {
  set(key, {MetadataType::kF32, double{value}});
}

void Metadata::set_bool(std::string_view key, bool value) {
  set(key, {MetadataType::kBool, value});
}

void Metadata::set_string(std::string_view key, std::string_view value) {
  set(key, {MetadataType::kString, intern(value)});
}

void Metadata::set_strings(std::string_view key, std::span<const std::string> values) {
  MetadataArray array{MetadataType::kString, values.size(), {}, {}};
  array.strings.reserve(values.size());
  for (const auto& value : values) array.strings.push_back(intern(value));
  set(key, {MetadataType::kArray, std::move(array)});
}

void Metadata::set_f32_array(std::string_view key, std::span<const float> values) {
  const std::string_view bytes = intern(as_text(values));
  set(key,
      {MetadataType::kArray, MetadataArray{MetadataType::kF32,
                                           values.size(),
                                           std::as_bytes(std::span(bytes.data(), bytes.size())),
                                           {}}});
}

void Metadata::set_i32_array(std::string_view key, std::span<const int32_t> values) {
  const std::string_view bytes = intern(as_text(values));
  set(key,
      {MetadataType::kArray, MetadataArray{MetadataType::kI32,
                                           values.size(),
                                           std::as_bytes(std::span(bytes.data(), bytes.size())),
                                           {}}});
}

void Metadata::copy_entry(const Entry& entry) {
  MetadataValue value = entry.value;
  if (auto* text = std::get_if<std::string_view>(&value.data)) *text = intern(*text);
  if (auto* array = std::get_if<MetadataArray>(&value.data)) {
    for (auto& text : array->strings) text = intern(text);
    const std::string_view bytes = intern(as_text(array->bytes));
    array->bytes = std::as_bytes(std::span(bytes.data(), bytes.size()));
  }
  set(entry.key, std::move(value));
}

void Metadata::erase(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(found->second));
  index_.clear();
  for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].key, i);
}

std::string_view Metadata::intern(std::string_view text) {
  return owned_.emplace_back(text);
}

void Metadata::set(std::string_view key, MetadataValue value) {
  if (const auto found = index_.find(key); found != index_.end()) {
    entries_[found->second].value = std::move(value);
  } else {
    add(intern(key), std::move(value));
  }
}

}  // namespace omg
