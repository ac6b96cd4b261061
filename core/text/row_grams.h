// What is compared of a row to find near ones (near_duplicates.h).
#pragma once

#include "core/text/near_duplicates.h"
#include "core/text/record.h"

namespace mayfly {

// Of a chat the contents of its messages but the system's, which many rows share; of prompt and
// completion both; of tokens their ids, as words.
WordGrams row_grams(const Record& record);

}  // namespace mayfly
