// SPDX-License-Identifier: Apache-2.0
#include "text/template/markup.h"

#include <algorithm>
#include <array>

#include "text/template/number_text.h"
#include "text/template/operations.h"

namespace omg::jinja {
namespace {

// Methods whose results are markup; the first ones escape their arguments, too.
constexpr std::array<std::string_view, 17> kEscaping = {
    "capitalize", "center",       "expandtabs",   "format",  "ljust", "lower",
    "lstrip",     "removeprefix", "removesuffix", "replace", "rjust", "rstrip",
    "strip",      "swapcase",     "title",        "upper",   "zfill"};
constexpr std::array<std::string_view, 5> kSplitting = {"partition", "rpartition", "rsplit",
                                                        "split", "splitlines"};

bool has(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Arguments escaped(Runtime& runtime, const Arguments& arguments) {
  Arguments result = arguments;
  for (Value& value : result.positional) value = escape_string(runtime, value);
  for (auto& [name, value] : result.named) value = escape_string(runtime, value);
  return result;
}

std::vector<Value> as_markup(std::vector<Value> items) {
  for (Value& item : items) {
    if (item.is_string()) item = item.as_markup();
  }
  return items;
}

}  // namespace

void append_escaped(TextBuilder& out, std::string_view text) {
  out.runtime().work(12 * text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      case '"':
        out.append("&#34;");
        break;
      default:
        out.append(c);
    }
  }
}

Value escape_string(Runtime& runtime, const Value& value) {
  if (!value.is_string() || value.is_markup()) return value;
  TextBuilder out(runtime);
  append_escaped(out, value.text());
  return out.take_value().as_markup();
}

Value call_method(Runtime& runtime, const Method& method, const Value& self,
                  const Arguments& arguments) {
  if (!self.is_markup()) return method.call(runtime, self, arguments);
  if (has(kEscaping, method.name)) {
    return method.call(runtime, self, escaped(runtime, arguments)).as_markup();
  }
  if (method.name == "join" && arguments.positional.size() == 1) {
    std::vector<Value> items = collect(runtime, arguments.positional[0]);
    for (Value& item : items) item = escape_string(runtime, item);
    const Arguments list{{runtime.list(std::move(items))}, arguments.named};
    return method.call(runtime, self, list).as_markup();
  }
  const Value result = method.call(runtime, self, arguments);
  if (!has(kSplitting, method.name)) return result;
  return result.is(Kind::kList) ? runtime.list(as_markup(result.items()))
                                : runtime.tuple(as_markup(result.items()));
}

Value format_markup(Runtime& runtime, std::string_view text, const Value& value) {
  Value arguments = escape_string(runtime, value);
  if (value.is(Kind::kTuple)) {
    std::vector<Value> items = value.items();
    for (Value& item : items) item = escape_string(runtime, item);
    arguments = runtime.tuple(std::move(items));
  } else if (value.is(Kind::kDict)) {
    const auto dict = runtime.heap.make<DictObject>();
    for (const auto& [key, item] : value.dict().entries()) {
      dict->set(runtime.heap, key, escape_string(runtime, item));
    }
    arguments = Value(dict);
  }
  return percent_format(runtime, text, arguments).as_markup();
}

}  // namespace omg::jinja
