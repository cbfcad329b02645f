// SPDX-License-Identifier: Apache-2.0
//
// The filters (`value | name(...)`), tests (`value is name(...)`) and global functions of
// templates. Source: Jinja 3.1 template designer documentation; `tojson`, `raise_exception` and
// `strftime_now` as transformers defines them.
#pragma once

#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace omg::jinja {

using Filter = Value (*)(Runtime& runtime, const Value& input, const Arguments& arguments);
using Test = bool (*)(Runtime& runtime, const Value& input, const Arguments& arguments);
using Function = Value (*)(Runtime& runtime, const Arguments& arguments);

/// Null where there is none of that name.
Filter find_filter(std::string_view name);
Filter find_text_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_number_filter(std::string_view name);
Test find_test(std::string_view name);
/// The global of that name (range, namespace, raise_exception, …); undefined where there is none.
Value find_global(Runtime& runtime, std::string_view name);

/// strftime() in the C locale with glibc's extensions ("%-d"). `now` is local time.
std::string format_time(Runtime& runtime, std::string_view format);

}  // namespace omg::jinja
