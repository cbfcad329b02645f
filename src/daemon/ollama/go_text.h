// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/ollama: text as Go's standard library writes it, which is what Ollama's
// clients are used to: JSON with '<', '>' and '&' escaped, times of RFC 3339, quoted strings.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "net/server/responder.h"

namespace omg::ollama {

/// With its quotes. Bytes that are no UTF-8 become U+FFFD.
void append_go_string(std::string& out, std::string_view text);
void append_go_json(std::string& out, const json::value& value);
/// Shortest digits that give the number back. Infinities and NaN, which JSON does not have, become
/// the largest number, or 0.
void append_go_number(std::string& out, double value);
void append_go_number(std::string& out, float value);

/// A JSON object that is written field by field, in the order of Go's struct. "_if": left out where
/// the value is empty, as `omitempty` does it.
class GoObject {
 public:
  GoObject& text(std::string_view name, std::string_view value);
  GoObject& text_if(std::string_view name, std::string_view value);
  GoObject& number(std::string_view name, int64_t value);
  GoObject& number_if(std::string_view name, int64_t value);
  GoObject& boolean(std::string_view name, bool value);
  GoObject& value(std::string_view name, const json::value& value);
  GoObject& texts(std::string_view name, const std::vector<std::string>& values);
  GoObject& texts_if(std::string_view name, const std::vector<std::string>& values);
  /// `written` is JSON already.
  GoObject& raw(std::string_view name, std::string_view written);
  GoObject& raw_if(std::string_view name, std::string_view written);
  /// The whole object; nothing may follow.
  std::string finish() { return std::move(out_ += out_.empty() ? "{}" : "}"); }

 private:
  void key(std::string_view name);
  std::string out_;
};

/// A string as %q shows it: quoted, with escapes.
std::string go_quoted(std::string_view text);
/// "2026-08-21T10:00:00.1Z"
std::string go_time(std::chrono::system_clock::time_point time);
/// The same with the machine's offset from UTC: "2026-08-21T03:00:00.1-07:00".
std::string go_local_time(int64_t seconds, int64_t nanoseconds = 0);
/// "1.2B", "494.03M", as Ollama shows numbers of parameters.
std::string human_number(uint64_t number);

inline constexpr const char* kJsonType = "application/json; charset=utf-8";
inline constexpr const char* kLinesType = "application/x-ndjson";

/// {"error": text}
std::string error_object(std::string_view text);
HttpAnswer error_answer(int status, std::string_view text);
HttpAnswer json_answer(std::string body);

/// Clients look for "busy".
inline constexpr std::string_view kBusy = "server busy, please try again.  ";

/// What an error that came from a service is answered with. `model`: as the client named it, "" if
/// the request was about none.
struct ErrorReply {
  int status = 500;
  std::string text;
};
ErrorReply reply_of(const Error& error, std::string_view model);

}  // namespace omg::ollama
