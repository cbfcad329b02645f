// SPDX-License-Identifier: Apache-2.0
#include "base/cancellation.h"

#include "base/error.h"

namespace omg {

void CancellationToken::throw_if_cancelled() const {
  if (is_cancelled()) throw Error(ErrorCode::kCancelled, "cancelled by the caller");
}

}  // namespace omg
