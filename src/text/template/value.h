// SPDX-License-Identifier: Apache-2.0
//
// Runtime values of templates, with the types that Python gives them: Jinja's language is defined
// by what Python does, and templates rely on it (`True` prints as "True", a tuple is no list, the
// result of `map` can be read once).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template/heap.h"

namespace omg::jinja {

class Runtime;
class Value;
struct Arguments;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  // From here on a value refers to an object.
  kString,
  kList,
  kTuple,
  kDict,
  kView,      // dict.keys(), .values(), .items()
  kRange,     // range(...)
  kIterator,  // a generator: can be read once
  kDynamic,   // namespace, macro, loop, bound method, …
};

/// Why a value is undefined; it becomes the message when the value is used.
enum class Missing : uint8_t {
  kVariable,
  kAttribute,
  kElement,
  kParameter,
  kUnsafe,
  kCaller,
  kFirstItem,
  kLastItem,
  kAggregate,
  kPreviousItem,
  kNextItem,
  kElseBranch,
};

class StringObject final : public Object {
 public:
  explicit StringObject(std::string text) : text_(std::move(text)), view_(text_) {}
  /// A string of the caller's context, which outlives the render: it is not copied.
  struct Borrowed {
    std::string_view text;
  };
  explicit StringObject(Borrowed borrowed) : view_(borrowed.text) {}

  std::string_view view() const { return view_; }
  /// Number of code points; counted once.
  size_t length() const;
  bool is_ascii() const { return length() == view_.size(); }

 private:
  static constexpr size_t kUnknown = SIZE_MAX;
  std::string text_;
  std::string_view view_;
  mutable size_t length_ = kUnknown;
};

class ListObject;
class DictObject;
class ViewObject;
class RangeObject;
class IteratorObject;
class DynamicObject;

class Value {
 public:
  Value() : kind_(Kind::kNone), integer_(0) {}
  explicit Value(bool value) : kind_(Kind::kBool), integer_(value) {}
  explicit Value(int64_t value) : kind_(Kind::kInt), integer_(value) {}
  explicit Value(double value) : kind_(Kind::kFloat), real_(value) {}
  explicit Value(Ref<StringObject> object) : Value(Kind::kString, object.get()) {}
  explicit Value(Ref<DictObject> object);
  explicit Value(Ref<ViewObject> object);
  explicit Value(Ref<RangeObject> object);
  explicit Value(Ref<IteratorObject> object);
  explicit Value(Ref<DynamicObject> object);
  static Value list(const Ref<ListObject>& object);
  static Value tuple(const Ref<ListObject>& object);
  /// `name` is what was looked for (may be null) and must outlive the render; `base` the kind of
  /// value it was looked for in.
  static Value undefined(Missing why, const std::string* name = nullptr,
                         Kind base = Kind::kUndefined);

  Value(const Value& other) : kind_(other.kind_), missing_(other.missing_), base_(other.base_) {
    integer_ = other.integer_;
    if (is_object()) object_->retain();
  }
  Value(Value&& other) noexcept : kind_(other.kind_), missing_(other.missing_), base_(other.base_) {
    integer_ = other.integer_;
    other.kind_ = Kind::kNone;
  }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(missing_, other.missing_);
    std::swap(base_, other.base_);
    std::swap(integer_, other.integer_);
    return *this;
  }
  ~Value() {
    if (is_object()) object_->release();
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  /// bool counts as a number, as in Python.
  bool is_number() const { return kind_ >= Kind::kBool && kind_ <= Kind::kFloat; }
  bool is_integral() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }

  bool as_bool() const { return integer_ != 0; }
  int64_t as_int() const { return integer_; }
  double as_double() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_); }
  /// Whether a string is markup (markup.h), and the same string as markup or as a plain one.
  bool is_markup() const { return is_string() && base_ == Kind::kString; }
  Value as_markup() const { return with_base(Kind::kString); }
  Value as_plain() const { return with_base(Kind::kUndefined); }
  StringObject& string() const;
  std::string_view text() const { return string().view(); }
  const std::vector<Value>& items() const;  // of a list or tuple
  ListObject& sequence() const;
  DictObject& dict() const;
  ViewObject& view() const;
  RangeObject& range() const;
  IteratorObject& iterator() const;
  DynamicObject& dynamic() const;
  Object* object() const { return is_object() ? object_ : nullptr; }

  Missing missing() const { return missing_; }
  Kind missing_base() const { return base_; }
  const std::string* missing_name() const { return name_; }

 private:
  Value(Kind kind, Object* object) : kind_(kind), object_(object) { object_->retain(); }
  bool is_object() const { return kind_ >= Kind::kString; }
  Value with_base(Kind base) const {
    Value copy(*this);
    if (is_string()) copy.base_ = base;
    return copy;
  }

  Kind kind_;
  Missing missing_ = Missing::kVariable;
  Kind base_ = Kind::kUndefined;
  union {
    int64_t integer_;
    double real_;
    Object* object_;
    const std::string* name_;
  };
};
static_assert(sizeof(Value) == 16);

/// Items of a list or a tuple. Templates run in an immutable sandbox, so they never change.
class ListObject final : public Object {
 public:
  explicit ListObject(std::vector<Value> items) : items_(std::move(items)) {}
  const std::vector<Value>& items() const { return items_; }
  /// A group of `groupby`: a pair whose parts are also called `grouper` and `list`.
  bool is_group = false;

 protected:
  void drop_references() override { items_.clear(); }

 private:
  std::vector<Value> items_;
};

/// A dict that keeps the order of insertion. Keys are hashable values.
class DictObject final : public Object {
 public:
  using Entry = std::pair<Value, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  /// Inserts or overwrites; the heap is charged for what the dict grows by.
  void set(Heap& heap, Value key, Value value);

 protected:
  void drop_references() override { entries_.clear(); }

 private:
  // Small dicts, which is nearly all of them, are searched linearly.
  static constexpr size_t kLinearLimit = 8;
  static constexpr uint32_t kEmpty = UINT32_MAX;

  template <class Matches>
  size_t position(size_t hash, Matches matches) const;
  size_t hash_of(const Value& key) const;
  size_t mixed(size_t hash) const;
  void rebuild_index(Heap& heap);

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // open addressing, power of two; empty for small dicts
};

enum class ViewKind : uint8_t { kKeys, kValues, kItems };

class ViewObject final : public Object {
 public:
  ViewObject(ViewKind kind, Ref<DictObject> dict) : kind_(kind), dict_(std::move(dict)) {}
  ViewKind kind() const { return kind_; }
  const DictObject& dict() const { return *dict_; }
  const Ref<DictObject>& dict_ref() const { return dict_; }

 protected:
  void drop_references() override;

 private:
  ViewKind kind_;
  Ref<DictObject> dict_;
};

class RangeObject final : public Object {
 public:
  RangeObject(int64_t first, int64_t end, int64_t step, int64_t count)
      : start(first), stop(end), increment(step), size(count) {}
  const int64_t start;
  const int64_t stop;
  const int64_t increment;
  const int64_t size;
  /// The number at an index; the index just behind the last may wrap around 64 bits.
  int64_t at(int64_t index) const {
    return static_cast<int64_t>(static_cast<uint64_t>(start) +
                                static_cast<uint64_t>(index) * static_cast<uint64_t>(increment));
  }
};

/// Yields values one at a time, once.
class IteratorObject : public Object {
 public:
  /// False at the end; `out` is set otherwise.
  virtual bool next(Runtime& runtime, Value& out) = 0;
  /// Items still to come where that is known without reading them, else -1.
  virtual int64_t known_length() const { return -1; }
  virtual std::string_view type_name() const { return "generator"; }
};

/// An object with behaviour of its own.
class DynamicObject : public Object {
 public:
  virtual std::string_view type_name() const = 0;
  virtual std::string repr(Runtime& runtime) = 0;
  /// True if there is such an attribute; `out` is set then.
  virtual bool get_attribute(Runtime& runtime, std::string_view name, Value& out);
  virtual bool is_callable() const { return false; }
  virtual Value call(Runtime& runtime, Arguments& arguments);
};

/// What `namespace()` makes: the one thing that a template may change.
class NamespaceObject final : public DynamicObject {
 public:
  explicit NamespaceObject(Ref<DictObject> members) : members_(std::move(members)) {}
  std::string_view type_name() const override { return "Namespace"; }
  std::string repr(Runtime& runtime) override;
  bool get_attribute(Runtime& runtime, std::string_view name, Value& out) override;
  DictObject& members() { return *members_; }

 protected:
  void drop_references() override { members_ = {}; }

 private:
  Ref<DictObject> members_;
};

/// Whether Python could hash the value (lists and dicts it cannot).
bool is_hashable(const Value& value);
/// Equality of two dict keys: 1, 1.0 and True are the same key.
bool same_key(const Value& a, const Value& b);

inline StringObject& Value::string() const {
  return static_cast<StringObject&>(*object_);
}
inline ListObject& Value::sequence() const {
  return static_cast<ListObject&>(*object_);
}
inline const std::vector<Value>& Value::items() const {
  return sequence().items();
}
inline DictObject& Value::dict() const {
  return static_cast<DictObject&>(*object_);
}
inline ViewObject& Value::view() const {
  return static_cast<ViewObject&>(*object_);
}
inline RangeObject& Value::range() const {
  return static_cast<RangeObject&>(*object_);
}
inline IteratorObject& Value::iterator() const {
  return static_cast<IteratorObject&>(*object_);
}
inline DynamicObject& Value::dynamic() const {
  return static_cast<DynamicObject&>(*object_);
}

}  // namespace omg::jinja
