// SPDX-License-Identifier: Apache-2.0
//
// Values to bytes and back, for wire.cc. A struct lists its members once, in a function fields()
// that both directions use, so that they cannot differ. Numbers as the processor has them; strings
// and lists with their count (4 bytes) before them.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace omg::wire {

/// The greatest value of an enum that travels.
template <class T>
inline constexpr T kLast{};

/// JSON may nest so deep; requests are parsed with a lower limit (JsonLimits).
inline constexpr int kMaxDepth = 300;

template <class T>
concept Number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  void raw(const void* bytes, size_t size) { out_.append(static_cast<const char*>(bytes), size); }
  void count(size_t size) {
    if (size > UINT32_MAX) throw Error(ErrorCode::kLimitExceeded, "a value is over 4 GiB long");
    const auto count = static_cast<uint32_t>(size);
    raw(&count, sizeof count);
  }

  void put(bool value) { out_.push_back(value ? 1 : 0); }
  template <Number T>
  void put(const T& value) {
    raw(&value, sizeof value);
  }
  template <class T>
    requires std::is_enum_v<T>
  void put(const T& value) {
    out_.push_back(static_cast<char>(value));
  }
  void put(const std::chrono::nanoseconds& value) { put(int64_t{value.count()}); }
  void put(const std::string& value) { text(value); }
  void text(std::string_view value) {
    count(value.size());
    raw(value.data(), value.size());
  }
  template <class T>
  void put(const std::vector<T>& values) {
    count(values.size());
    if constexpr (Number<T>) {
      raw(values.data(), values.size() * sizeof(T));
    } else {
      for (const T& value : values) put(value);
    }
  }
  template <class A, class B>
  void put(const std::pair<A, B>& value) {
    put(value.first);
    put(value.second);
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class... T>
  void put(const std::variant<T...>& value) {
    out_.push_back(static_cast<char>(value.index()));
    std::visit([this](const auto& one) { this->put(one); }, value);
  }
  void put(const json::value& value);
  void put(const json::array& values) {
    count(values.size());
    for (const json::value& value : values) put(value);
  }
  void put(const json::object& members) {
    count(members.size());
    for (const auto& member : members) {
      text({member.key().data(), member.key().size()});
      put(member.value());
    }
  }
  template <class T>
    requires std::is_class_v<T>
  void put(const T& value) {
    fields(*this, const_cast<T&>(value));  // a writer changes nothing
  }

  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class... T>
  void operator()(T&... values) {
    (take(values), ...);
  }
  void finish() const {
    if (!rest_.empty()) fail("has bytes behind its end");
  }
  [[noreturn]] static void fail(const char* why) {
    throw Error(ErrorCode::kCorrupt, std::string("a frame ") + why);
  }

 private:
  std::string_view bytes(size_t size) {
    if (size > rest_.size()) fail("ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  /// Each thing that is counted takes `least` bytes, so a large count needs a large frame.
  size_t count(size_t least) {
    uint32_t count = 0;
    take(count);
    if (count > rest_.size() / least) fail("counts more than it holds");
    return count;
  }

  void take(bool& value) {
    const char byte = bytes(1)[0];
    if (byte != 0 && byte != 1) fail("has a truth value that is none");
    value = byte == 1;
  }
  template <Number T>
  void take(T& value) {
    std::memcpy(&value, bytes(sizeof value).data(), sizeof value);
  }
  template <class T>
    requires std::is_enum_v<T>
  void take(T& value) {
    const auto number = static_cast<uint8_t>(bytes(1)[0]);
    if (number > static_cast<uint8_t>(kLast<T>)) fail("names a choice that there is not");
    value = static_cast<T>(number);
  }
  void take(std::chrono::nanoseconds& value) {
    int64_t number = 0;
    take(number);
    value = std::chrono::nanoseconds(number);
  }
  void take(std::string& value) { value = text(); }
  std::string_view text() { return bytes(count(1)); }
  template <class T>
  void take(std::vector<T>& values) {
    if constexpr (Number<T>) {
      values.resize(count(sizeof(T)));
      const std::string_view data = bytes(values.size() * sizeof(T));
      if (!data.empty()) std::memcpy(values.data(), data.data(), data.size());
    } else {
      values.clear();
      for (size_t left = count(1); left > 0; --left) take(values.emplace_back());
    }
  }
  template <class A, class B>
  void take(std::pair<A, B>& value) {
    take(value.first);
    take(value.second);
  }
  template <class T>
  void take(std::optional<T>& value) {
    bool is_there = false;
    take(is_there);
    value.reset();
    if (is_there) take(value.emplace());
  }
  template <class... T>
  void take(std::variant<T...>& value) {
    take_alternative<0>(value, static_cast<uint8_t>(bytes(1)[0]));
  }
  template <size_t I, class... T>
  void take_alternative(std::variant<T...>& value, size_t index) {
    if constexpr (I < sizeof...(T)) {
      if (index == I) return take(value.template emplace<I>());
      take_alternative<I + 1>(value, index);
    } else {
      fail("names an alternative that there is not");
    }
  }
  void take(json::value& value);
  void take(json::array& values);
  void take(json::object& members);
  template <class T>
    requires std::is_class_v<T>
  void take(T& value) {
    fields(*this, value);
  }

  std::string_view rest_;
  int depth_ = 0;  // of JSON
};

}  // namespace omg::wire
