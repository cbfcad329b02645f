// SPDX-License-Identifier: Apache-2.0
//
// Internal to hub/: small requests that are worth a second try, and readers of the JSON that comes
// back. Missing and ill-typed members are an answer's fault, never ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "net/http_client.h"

namespace omg {

/// HttpClient::send(), for GET and HEAD up to three times while the failure or the status is a
/// passing one, with growing pauses (Retry-After is kept up to 10 s). Returns the last answer, of
/// any status.
HttpResponse fetch(HttpClient& client, const HttpRequest& request);

/// Limits for what hubs answer. `what` is named in errors, which are Error(kCorrupt).
json::value parse_answer(std::string_view text, const std::string& what);

/// The member of that name, or null if it is missing or JSON's null.
const json::value* member(const json::object& object, std::string_view name);
/// "" where it is missing or no string.
std::string string_member(const json::object& object, std::string_view name);
/// Nothing where it is missing, negative, a fraction or no number.
std::optional<uint64_t> number_member(const json::object& object, std::string_view name);
const json::object* object_member(const json::object& object, std::string_view name);
const json::array* array_member(const json::object& object, std::string_view name);

/// Fit to be shown in a terminal and to be compared: control characters and bytes that are no UTF-8
/// replaced, cut to `most` bytes.
std::string clean_text(std::string_view text, size_t most = 200);

}  // namespace omg
