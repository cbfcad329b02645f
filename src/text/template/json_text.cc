// SPDX-License-Identifier: Apache-2.0
//
// json.dumps, byte for byte as Python writes it.
#include <algorithm>
#include <cmath>

#include "text/template/number_text.h"
#include "text/template/operations.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(TextBuilder& out, const JsonStyle& style)
      : runtime_(out.runtime()), out_(out), style_(style) {}

  void write(const Value& value, size_t level) {
    const DepthGuard guard(runtime_);
    runtime_.step();
    switch (value.kind()) {
      case Kind::kNone:
        return out_.append("null");
      case Kind::kBool:
        return out_.append(value.as_bool() ? "true" : "false");
      case Kind::kInt:
        return out_.append(std::to_string(value.as_int()));
      case Kind::kFloat:
        return out_.append(real(value.as_double()));
      case Kind::kString:
        return write_string(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return write_list(value.items(), level);
      case Kind::kDict:
        return write_dict(value.dict(), level);
      default:
        runtime_.fail("object of type " + std::string(type_name(value)) +
                      " is not JSON serializable");
    }
  }

 private:
  static std::string real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_text(value);
  }

  void new_line(size_t level) {
    if (!style_.indent) return;
    out_.append('\n');
    out_.append(level, *style_.indent);
  }

  void write_list(const std::vector<Value>& items, size_t level) {
    if (items.empty()) return out_.append("[]");
    out_.append('[');
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line(level + 1);
      write(items[i], level + 1);
    }
    new_line(level);
    out_.append(']');
  }

  void write_dict(const DictObject& dict, size_t level) {
    if (dict.entries().empty()) return out_.append("{}");
    std::vector<const DictObject::Entry*> entries;
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return less(runtime_, a->first, b->first);
      });
    }
    out_.append('{');
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line(level + 1);
      write_key(entries[i]->first);
      out_.append(style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    new_line(level);
    out_.append('}');
  }

  void write_key(const Value& key) {
    if (key.is_string()) return write_string(key.text());
    if (!key.is_number() && !key.is_none()) {
      runtime_.fail("keys must be str, int, float, bool or None, not " +
                    std::string(type_name(key)));
    }
    out_.append('"');
    write(key, 0);
    out_.append('"');
  }

  void write_escape(uint32_t unit) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out_.append("\\u");
    for (int shift = 12; shift >= 0; shift -= 4) out_.append(kHex[unit >> shift & 15]);
  }

  void write_string(std::string_view text) {
    runtime_.work(12 * text.size());
    out_.append('"');
    size_t plain = 0;  // start of what needs no escape
    for (size_t at = 0; at < text.size();) {
      if (!needs_care(text[at])) {
        ++at;
        continue;
      }
      out_.append(text.substr(plain, at - plain));
      if (static_cast<uint8_t>(text[at]) < 0x80) {
        write_ascii_special(text[at++]);
      } else {
        CodePoints walk(text.substr(at));
        CodePoint point;
        walk.next(point);
        write_escaped_code_point(point.value);
        at += walk.position();
      }
      plain = at;
    }
    out_.append(text.substr(plain));
    out_.append('"');
  }

  bool needs_care(char c) const {
    const auto byte = static_cast<uint8_t>(c);
    return byte < 0x20 || c == '"' || c == '\\' || (style_.ensure_ascii && byte >= 0x7f);
  }

  void write_ascii_special(char c) {
    switch (c) {
      case '"':
        return out_.append("\\\"");
      case '\\':
        return out_.append("\\\\");
      case '\n':
        return out_.append("\\n");
      case '\r':
        return out_.append("\\r");
      case '\t':
        return out_.append("\\t");
      case '\b':
        return out_.append("\\b");
      case '\f':
        return out_.append("\\f");
      default:
        return write_escape(static_cast<uint8_t>(c));
    }
  }

  void write_escaped_code_point(uint32_t c) {
    if (c < 0x10000) return write_escape(c);
    write_escape(0xd800 + ((c - 0x10000) >> 10));
    write_escape(0xdc00 + ((c - 0x10000) & 0x3ff));
  }

  Runtime& runtime_;
  TextBuilder& out_;
  const JsonStyle& style_;
};

}  // namespace

void append_json(TextBuilder& out, const Value& value, const JsonStyle& style) {
  JsonWriter(out, style).write(value, 0);
}

}  // namespace omg::jinja
