// SPDX-License-Identifier: Apache-2.0
#include "daemon/ollama/go_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fmt/format.h>
#include <limits>

#include "base/utf8.h"
#include "net/server/request.h"

namespace omg::ollama {
namespace {

template <typename Float>
void append_number(std::string& out, Float value) {
  if (std::isnan(value)) value = 0;
  if (std::isinf(value)) value = std::copysign(std::numeric_limits<Float>::max(), value);
  const Float size = std::abs(value);
  const bool scientific = size != 0 && (size < Float(1e-6) || size >= Float(1e21));
  char text[64];
  const auto end =
      std::to_chars(text, text + sizeof text, value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed)
          .ptr;
  std::string_view digits(text, static_cast<size_t>(end - text));
  // Go writes exponents of one digit as such: 1e-7.
  const size_t exponent = digits.rfind("e-0");
  if (exponent == std::string_view::npos) {
    out += digits;
  } else {
    out.append(digits.substr(0, exponent + 2)).append(digits.substr(exponent + 3));
  }
}

std::string format_time(int64_t seconds, int64_t nanoseconds, bool local) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  if (local) {
    ::localtime_r(&time, &parts);
  } else {
    ::gmtime_r(&time, &parts);
  }
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (nanoseconds != 0) {
    text += fmt::format(".{:09}", nanoseconds);
    text.resize(text.find_last_not_of('0') + 1);
  }
  const long offset = local ? parts.tm_gmtoff / 60 : 0;
  if (offset == 0) return text + "Z";
  return text + fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', std::abs(offset) / 60,
                            std::abs(offset) % 60);
}

}  // namespace

void append_go_string(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0;  // where the bytes begin that can be copied as they are
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      const char* named = byte == '"'    ? "\\\""
                          : byte == '\\' ? "\\\\"
                          : byte == '\n' ? "\\n"
                          : byte == '\r' ? "\\r"
                          : byte == '\t' ? "\\t"
                          : byte == '\b' ? "\\b"
                          : byte == '\f' ? "\\f"
                                         : nullptr;
      const bool by_number = byte < 0x20 || byte == '<' || byte == '>' || byte == '&';
      if (named == nullptr && !by_number) {
        ++i;
        continue;
      }
      out.append(text.substr(plain, i - plain));
      out += named != nullptr ? std::string(named) : fmt::format("\\u{:04x}", byte);
      plain = ++i;
      continue;
    }
    const DecodedCodePoint point = decode_utf8(text, i);
    const bool separator = point.value == 0x2028 || point.value == 0x2029;
    if (!point.valid || separator) {
      out.append(text.substr(plain, i - plain));
      out += separator ? fmt::format("\\u{:04x}", point.value) : "\\ufffd";
      plain = i + point.size;
    }
    i += point.size;
  }
  out.append(text.substr(plain));
  out += '"';
}

void append_go_number(std::string& out, double value) {
  append_number(out, value);
}
void append_go_number(std::string& out, float value) {
  append_number(out, value);
}

void append_go_json(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::int64:
      out += std::to_string(value.get_int64());
      return;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      return;
    case json::kind::double_:
      return append_go_number(out, value.get_double());
    case json::kind::string:
      return append_go_string(out, std::string_view(value.get_string()));
    case json::kind::array: {
      char before = '[';
      for (const json::value& entry : value.get_array()) {
        out += std::exchange(before, ',');
        append_go_json(out, entry);
      }
      out += before == '[' ? "[]" : "]";
      return;
    }
    case json::kind::object: {
      char before = '{';
      for (const auto& [name, entry] : value.get_object()) {
        out += std::exchange(before, ',');
        append_go_string(out, std::string_view(name));
        out += ':';
        append_go_json(out, entry);
      }
      out += before == '{' ? "{}" : "}";
      return;
    }
  }
}

void GoObject::key(std::string_view name) {
  out_ += out_.empty() ? '{' : ',';
  out_.append("\"").append(name).append("\":");
}

GoObject& GoObject::text(std::string_view name, std::string_view value) {
  key(name);
  append_go_string(out_, value);
  return *this;
}
GoObject& GoObject::text_if(std::string_view name, std::string_view value) {
  return value.empty() ? *this : text(name, value);
}
GoObject& GoObject::number(std::string_view name, int64_t value) {
  return raw(name, std::to_string(value));
}
GoObject& GoObject::number_if(std::string_view name, int64_t value) {
  return value == 0 ? *this : number(name, value);
}
GoObject& GoObject::boolean(std::string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}
GoObject& GoObject::value(std::string_view name, const json::value& value) {
  key(name);
  append_go_json(out_, value);
  return *this;
}
GoObject& GoObject::texts(std::string_view name, const std::vector<std::string>& values) {
  key(name);
  char before = '[';
  for (const std::string& text : values) {
    out_ += std::exchange(before, ',');
    append_go_string(out_, text);
  }
  out_ += before == '[' ? "[]" : "]";
  return *this;
}
GoObject& GoObject::texts_if(std::string_view name, const std::vector<std::string>& values) {
  return values.empty() ? *this : texts(name, values);
}
GoObject& GoObject::raw(std::string_view name, std::string_view written) {
  key(name);
  out_ += written;
  return *this;
}
GoObject& GoObject::raw_if(std::string_view name, std::string_view written) {
  return written.empty() ? *this : raw(name, written);
}

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    const std::string_view bytes = text.substr(i, point.size);
    i += point.size;
    if (!point.valid) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
    } else if (point.value == '"' || point.value == '\\') {
      out.append("\\").append(bytes);
    } else if (point.value == '\n') {
      out += "\\n";
    } else if (point.value == '\r') {
      out += "\\r";
    } else if (point.value == '\t') {
      out += "\\t";
    } else if (point.value < 0x20 || point.value == 0x7f) {
      out += fmt::format("\\x{:02x}", point.value);
    } else {
      out += bytes;
    }
  }
  return out += '"';
}

std::string go_time(std::chrono::system_clock::time_point time) {
  using std::chrono::floor;
  const auto seconds = floor<std::chrono::seconds>(time);
  const std::chrono::nanoseconds rest = time - seconds;
  return format_time(seconds.time_since_epoch().count(), rest.count(), false);
}

std::string go_local_time(int64_t seconds, int64_t nanoseconds) {
  return format_time(seconds, nanoseconds, true);
}

std::string human_number(uint64_t number) {
  const auto scaled = [&](double unit, const char* suffix, int digits) {
    const double value = static_cast<double>(number) / unit;
    return fmt::format("{:.{}f}{}", value, value == std::floor(value) ? 0 : digits, suffix);
  };
  if (number >= 1'000'000'000) return scaled(1e9, "B", 1);
  if (number >= 1'000'000) return scaled(1e6, "M", 2);
  if (number >= 1'000) return scaled(1e3, "K", 0);
  return std::to_string(number);
}

std::string error_object(std::string_view text) {
  return GoObject().text("error", text).finish();
}

HttpAnswer error_answer(int status, std::string_view text) {
  HttpAnswer answer{status, kJsonType, {}, error_object(text)};
  if (status == 503) answer.headers.push_back({"Retry-After", "1"});
  return answer;
}

HttpAnswer json_answer(std::string body) {
  return {200, kJsonType, {}, std::move(body)};
}

ErrorReply reply_of(const Error& error, std::string_view model) {
  if (const auto* refusal = dynamic_cast<const HttpRefusal*>(&error)) {
    return {refusal->status(), error.what()};
  }
  const std::string what = error.what();
  switch (error.code()) {
    case ErrorCode::kNotFound:
      if (model.empty()) return {404, what};
      return {404, fmt::format("model '{}' not found: {}", model, what)};
    case ErrorCode::kContextLengthExceeded:
      return {400,
              "the prompt is longer than the context length currently available to the model; "
              "shorten the prompt, raise num_ctx, or leave truncate on: " +
                  what};
    case ErrorCode::kUnavailable:
      return {503, std::string(kBusy) + what};
    case ErrorCode::kCancelled:
      return {499, "request canceled"};
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUsage:
    case ErrorCode::kUnsupported:
    case ErrorCode::kLimitExceeded:
      return {400, what};
    case ErrorCode::kCorrupt:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      return {500, what};
  }
  return {500, what};
}

}  // namespace omg::ollama
