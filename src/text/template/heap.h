// SPDX-License-Identifier: Apache-2.0
//
// Memory of one render. Objects are reference counted (one render is one thread, so the counts are
// plain integers) and every byte is charged against a limit, because templates come from strangers.
// The heap also lists all live objects: what is still alive at the end, such as a macro that is
// stored in the scope it closes over, is freed with the heap.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace omg::jinja {

class Heap;

/// Base of everything that a Value may refer to.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  void retain() { ++references_; }
  void release();
  uint32_t references() const { return references_; }

 protected:
  /// Drops the references that this object holds, so that cycles end with their heap.
  virtual void drop_references() {}

 private:
  friend class Heap;
  uint32_t references_ = 0;
  Heap* heap_ = nullptr;
  Object* previous_ = nullptr;
  Object* next_ = nullptr;
  size_t charged_ = 0;
};

/// A counted pointer to an object.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_) object_->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  template <class U>
    requires std::derived_from<U, T>
  Ref(const Ref<U>& other) : Ref(other.get()) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->release();
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

class Heap {
 public:
  explicit Heap(size_t max_bytes) : max_bytes_(max_bytes) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  /// Frees every object; no Ref or Value of this heap may live longer.
  ~Heap();

  template <class T, class... Arguments>
  Ref<T> make(Arguments&&... arguments) {
    require(charging_ ? sizeof(T) + kAllocationOverhead : 0);
    T* object = new T(std::forward<Arguments>(arguments)...);
    adopt(*object);
    charge(*object, sizeof(T) + kAllocationOverhead);
    return Ref<T>(object);
  }

  /// Counts bytes that are about to be allocated. Error(kLimitExceeded) beyond the limit.
  void charge(size_t bytes) {
    if (bytes > max_bytes_ - used_) fail();
    used_ += bytes;
  }
  /// While off, new objects cost nothing: what the caller brings is not the template's doing.
  void set_charging(bool on) { charging_ = on; }
  void discharge(size_t bytes) { used_ -= bytes; }
  /// As charge(), on behalf of an object: the bytes are discharged when it dies.
  void charge(Object& object, size_t bytes) {
    if (!charging_) return;
    charge(bytes);
    object.charged_ += bytes;
  }
  /// Fails now if `bytes` more would not fit.
  void require(size_t bytes) const {
    if (bytes > max_bytes_ - used_) fail();
  }

 private:
  friend class Object;
  // What the allocator adds to each block, rounded up; measured with glibc.
  static constexpr size_t kAllocationOverhead = 16;

  [[noreturn]] void fail() const;
  void adopt(Object& object);
  void unlink(Object& object);
  void bury(Object& object);

  size_t max_bytes_;
  size_t used_ = 0;
  Object* live_ = nullptr;
  Object* dead_ = nullptr;
  bool burying_ = false;
  bool charging_ = true;
};

inline void Object::release() {
  if (--references_ == 0) heap_->bury(*this);
}

}  // namespace omg::jinja
