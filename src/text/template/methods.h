// SPDX-License-Identifier: Apache-2.0
//
// Methods of Python's types that a template may call: "text".strip(), dict.items(), ...
#pragma once

#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace omg::jinja {

struct Method {
  std::string_view name;
  Value (*call)(Runtime& runtime, const Value& self, const Arguments& arguments);
};

/// The method of a string, list, tuple, dict, number, …; null where there is none.
const Method* find_method(const Value& self, std::string_view name);
/// Whether Python has such an attribute but the sandbox denies it (list.append, x.__class__).
bool is_denied_attribute(const Value& self, std::string_view name);

/// str.replace: at most `limit` times where that is not negative.
Value replace_text(Runtime& runtime, const Value& self, std::string_view old, std::string_view with,
                   int64_t limit);

const Method* find_text_method(std::string_view name);
const Method* find_collection_method(Kind kind, std::string_view name);

/// A method with the value that it belongs to.
class MethodObject final : public DynamicObject {
 public:
  MethodObject(Value self, const Method& method) : self_(std::move(self)), method_(method) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  std::string repr(Runtime& runtime) override;
  bool is_callable() const override { return true; }
  Value call(Runtime& runtime, Arguments& arguments) override;

 protected:
  void drop_references() override { self_ = Value(); }

 private:
  Value self_;
  const Method& method_;
};

}  // namespace omg::jinja
