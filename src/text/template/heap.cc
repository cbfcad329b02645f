// SPDX-License-Identifier: Apache-2.0
#include "text/template/heap.h"

#include <string>

#include "base/error.h"

namespace omg::jinja {

Heap::~Heap() {
  // Pinned, no object dies while others let go of it; then all are freed in one sweep.
  for (Object* object = live_; object; object = object->next_) object->retain();
  for (Object* object = live_; object; object = object->next_) object->drop_references();
  while (live_) {
    Object* object = live_;
    live_ = object->next_;
    delete object;
  }
}

void Heap::fail() const {
  throw Error(ErrorCode::kLimitExceeded, "the chat template was stopped: it needs more than " +
                                             std::to_string(max_bytes_) + " bytes of memory");
}

void Heap::adopt(Object& object) {
  object.heap_ = this;
  object.next_ = live_;
  if (live_) live_->previous_ = &object;
  live_ = &object;
}

void Heap::unlink(Object& object) {
  (object.previous_ ? object.previous_->next_ : live_) = object.next_;
  if (object.next_) object.next_->previous_ = object.previous_;
}

// Freeing an object may free what it holds, and so on: a list nested 100 000 deep would exhaust the
// stack by recursion. The dead therefore wait in a queue that one call empties.
void Heap::bury(Object& object) {
  unlink(object);
  object.next_ = dead_;
  dead_ = &object;
  if (burying_) return;
  burying_ = true;
  while (dead_) {
    Object* next = dead_;
    dead_ = next->next_;
    discharge(next->charged_);
    delete next;
  }
  burying_ = false;
}

}  // namespace omg::jinja
