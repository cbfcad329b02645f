// SPDX-License-Identifier: Apache-2.0
//
// Objects that a template makes while it runs and may call: macros and the `loop` of a for loop.
#pragma once

#include <string>
#include <utility>

#include "text/template/evaluator.h"

namespace omg::jinja {

class MacroObject final : public DynamicObject {
 public:
  MacroObject(Evaluator& evaluator, const Macro& macro, Ref<Scope> closure)
      : evaluator_(evaluator), macro_(macro), closure_(std::move(closure)) {}
  std::string_view type_name() const override { return "Macro"; }
  std::string repr(Runtime& runtime) override;
  bool get_attribute(Runtime& runtime, std::string_view name, Value& out) override;
  bool is_callable() const override { return true; }
  Value call(Runtime&, Arguments& arguments) override {
    return evaluator_.call_macro(macro_, closure_, arguments);
  }

 protected:
  void drop_references() override { closure_ = {}; }

 private:
  Evaluator& evaluator_;
  const Macro& macro_;
  Ref<Scope> closure_;
};

/// Yields the items of a loop that pass its condition, which sees what the body changed so far.
class FilteredItems final : public IteratorObject {
 public:
  FilteredItems(Evaluator& evaluator, const For& loop, Ref<IteratorObject> items, Ref<Scope> scope)
      : evaluator_(evaluator), loop_(loop), items_(std::move(items)), scope_(std::move(scope)) {}
  bool next(Runtime& runtime, Value& out) override;

 protected:
  void drop_references() override {
    items_ = {};
    scope_ = {};
  }

 private:
  Evaluator& evaluator_;
  const For& loop_;
  Ref<IteratorObject> items_;
  Ref<Scope> scope_;
};

/// The variable `loop`. It reads items ahead only where the template asks about them.
class LoopObject final : public DynamicObject {
 public:
  LoopObject(Evaluator& evaluator, const For& loop, Ref<IteratorObject> items, Ref<Scope> scope,
             int64_t depth)
      : evaluator_(evaluator),
        loop_(loop),
        items_(std::move(items)),
        scope_(std::move(scope)),
        depth_(depth),
        length_(items_->known_length()) {}

  /// Moves to the next item; false at the end.
  bool advance(Runtime& runtime, Value& item);

  std::string_view type_name() const override { return "LoopContext"; }
  std::string repr(Runtime& runtime) override;
  bool get_attribute(Runtime& runtime, std::string_view name, Value& out) override;
  bool is_callable() const override { return true; }
  Value call(Runtime& runtime, Arguments& arguments) override;

  Value cycle(Runtime& runtime, const Arguments& arguments) const;
  bool changed(Runtime& runtime, const Arguments& arguments);

 protected:
  void drop_references() override;

 private:
  bool peek(Runtime& runtime);
  int64_t length(Runtime& runtime);

  Evaluator& evaluator_;
  const For& loop_;
  Ref<IteratorObject> items_;
  Ref<Scope> scope_;
  int64_t depth_;
  int64_t length_;
  int64_t index_ = -1;
  Value before_;
  Value current_;
  Value after_;
  bool has_after_ = false;
  Value last_changed_;
  bool has_changed_ = false;
};

}  // namespace omg::jinja
