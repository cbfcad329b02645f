// SPDX-License-Identifier: Apache-2.0
#include "text/template/value.h"

#include <cmath>
#include <functional>

#include "text/template/operations.h"
#include "text/template/runtime.h"

namespace omg::jinja {
namespace {

constexpr size_t kMaxKeyDepth = 64;

size_t combine(size_t seed, size_t hash) {
  return seed ^ (hash + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2));
}

size_t hash_text(std::string_view text) {
  return std::hash<std::string_view>{}(text);
}

size_t hash_key(const Value& key, size_t depth = 0) {
  switch (key.kind()) {
    case Kind::kBool:
    case Kind::kInt:
      return std::hash<int64_t>{}(key.as_int());
    case Kind::kFloat: {
      const double value = key.as_double();
      const bool integral = std::trunc(value) == value && std::fabs(value) < 9e18;
      return integral ? std::hash<int64_t>{}(static_cast<int64_t>(value))
                      : std::hash<double>{}(value);
    }
    case Kind::kString:
      return hash_text(key.text());
    case Kind::kTuple: {
      size_t hash = key.items().size();
      if (depth > kMaxKeyDepth) return hash;
      for (const Value& item : key.items()) hash = combine(hash, hash_key(item, depth + 1));
      return hash;
    }
    case Kind::kUndefined:
    case Kind::kNone:
      return static_cast<size_t>(key.kind());
    default:
      return std::hash<Object*>{}(key.object());
  }
}

bool is_hashable_at(const Value& value, size_t depth) {
  if (value.is(Kind::kList) || value.is(Kind::kDict) || value.is(Kind::kView)) return false;
  if (!value.is(Kind::kTuple)) return true;
  if (depth > kMaxKeyDepth) return false;
  for (const Value& item : value.items()) {
    if (!is_hashable_at(item, depth + 1)) return false;
  }
  return true;
}

}  // namespace

size_t StringObject::length() const {
  if (length_ == kUnknown) {
    size_t count = 0;
    for (const char byte : view_) count += (static_cast<uint8_t>(byte) & 0xc0) != 0x80;
    length_ = count;
  }
  return length_;
}

Value::Value(Ref<DictObject> object) : Value(Kind::kDict, object.get()) {}
Value::Value(Ref<ViewObject> object) : Value(Kind::kView, object.get()) {}
Value::Value(Ref<RangeObject> object) : Value(Kind::kRange, object.get()) {}
Value::Value(Ref<IteratorObject> object) : Value(Kind::kIterator, object.get()) {}
Value::Value(Ref<DynamicObject> object) : Value(Kind::kDynamic, object.get()) {}

Value Value::list(const Ref<ListObject>& object) {
  return Value(Kind::kList, object.get());
}

Value Value::tuple(const Ref<ListObject>& object) {
  return Value(Kind::kTuple, object.get());
}

Value Value::undefined(Missing why, const std::string* name, Kind base) {
  Value value;
  value.kind_ = Kind::kUndefined;
  value.missing_ = why;
  value.base_ = base;
  value.name_ = name;
  return value;
}

bool is_hashable(const Value& value) {
  return is_hashable_at(value, 0);
}

bool same_key(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.as_int() == b.as_int()
                                              : a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text() == b.text();
    case Kind::kTuple: {
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        if (!same_key(a.items()[i], b.items()[i])) return false;
      }
      return true;
    }
    default:
      return a.object() == b.object();
  }
}

/// Position of the entry, or entries_.size().
template <class Matches>
size_t DictObject::position(size_t hash, Matches matches) const {
  if (slots_.empty()) {
    size_t i = 0;
    while (i < entries_.size() && !matches(entries_[i].first)) ++i;
    return i;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] == kEmpty) return entries_.size();
    if (matches(entries_[slots_[slot]].first)) return slots_[slot];
  }
}

/// Spreads a hash over all bits, differently in each dict: the hash of a number is the
/// number, so keys that are multiples of 2^32 would all collide otherwise.
size_t DictObject::mixed(size_t hash) const {
  hash ^= reinterpret_cast<uintptr_t>(this);
  hash = (hash ^ (hash >> 32)) * 0x9fb21c651e98df25u;
  hash = (hash ^ (hash >> 28)) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 32);
}

size_t DictObject::hash_of(const Value& key) const {
  return slots_.empty() ? 0 : mixed(hash_key(key));
}

const Value* DictObject::find(const Value& key) const {
  const size_t hash = hash_of(key);
  const size_t at = position(hash, [&](const Value& other) { return same_key(other, key); });
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

const Value* DictObject::find(std::string_view key) const {
  const size_t hash = slots_.empty() ? 0 : mixed(hash_text(key));
  const size_t at =
      position(hash, [&](const Value& other) { return other.is_string() && other.text() == key; });
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

void DictObject::set(Heap& heap, Value key, Value value) {
  const size_t hash = hash_of(key);
  const size_t at = position(hash, [&](const Value& other) { return same_key(other, key); });
  if (at < entries_.size()) {
    entries_[at].second = std::move(value);
    return;
  }
  heap.charge(*this, sizeof(Entry));
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() <= kLinearLimit) return;
  if (slots_.size() < 2 * entries_.size()) {
    rebuild_index(heap);
    return;
  }
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot] != kEmpty) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<uint32_t>(entries_.size() - 1);
}

void DictObject::rebuild_index(Heap& heap) {
  size_t size = 32;
  while (size < 4 * entries_.size()) size *= 2;
  heap.charge(*this, (size - slots_.size()) * sizeof(uint32_t));
  slots_.assign(size, kEmpty);
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    size_t slot = mixed(hash_key(entries_[i].first)) & (size - 1);
    while (slots_[slot] != kEmpty) slot = (slot + 1) & (size - 1);
    slots_[slot] = i;
  }
}

void ViewObject::drop_references() {
  dict_ = {};
}

bool DynamicObject::get_attribute(Runtime&, std::string_view, Value&) {
  return false;
}

Value DynamicObject::call(Runtime& runtime, Arguments&) {
  runtime.fail("'" + std::string(type_name()) + "' object is not callable");
}

std::string NamespaceObject::repr(Runtime& runtime) {
  return "<Namespace " + jinja::repr(runtime, Value(members_)) + ">";
}

bool NamespaceObject::get_attribute(Runtime&, std::string_view name, Value& out) {
  const Value* found = members_->find(name);
  if (found) out = *found;
  return found != nullptr;
}

}  // namespace omg::jinja
