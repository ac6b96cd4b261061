// The few texts we need of AWS's XML answers. Not a parser: the answers are flat lists that AWS
// generates, we ask S3 to percent-encode what users chose (encoding-type=url), and nothing is
// believed that is not checked elsewhere. Comments, CDATA and namespaces' prefixes are not known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

// What stands between <element> or <element ...> and </element>, each time it occurs, inner markup
// included and entities left as they are.
std::vector<std::string_view> xml_blocks(std::string_view xml, std::string_view element);

// The first such text with its five entities replaced; "" if there is none.
std::string xml_text(std::string_view xml, std::string_view element);

// The text with & < > " ' as entities.
std::string xml_escape(std::string_view text);

}  // namespace mayfly
