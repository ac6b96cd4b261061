// Money read wrongly by a factor is money spent wrongly by a factor.
#include "core/usd.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(UsdTest, ReadsWhatVendorsAndPeopleWrite) {
  EXPECT_EQ(parse_usd("12")->micros, 12'000'000);
  EXPECT_EQ(parse_usd("0.75")->micros, 750'000);
  EXPECT_EQ(parse_usd("33.600000")->micros, 33'600'000);
  EXPECT_EQ(parse_usd("0.000001")->micros, 1);
  EXPECT_EQ(parse_usd("1.5000000")->micros, 1'500'000);
}

TEST(UsdTest, RefusesWhatIsNotAnAmount) {
  for (const char* text :
       {"", ".", "-1", "1e3", "1,5", "0.0000001", "$3", "nan", "99999999999999"}) {
    EXPECT_FALSE(parse_usd(text)) << text;
  }
}

TEST(UsdTest, PrintsSmallBillsSoThatTheyDoNotReadAsNothing) {
  EXPECT_EQ(format_usd(dollars(150)), "$150.00");
  EXPECT_EQ(format_usd(Usd{4'200}), "$0.0042");
  EXPECT_EQ(format_usd(Usd{}), "$0.00");
  EXPECT_EQ(usd_decimal(Usd{17'920'000}), "17.92");
  EXPECT_EQ(usd_decimal(dollars(3)), "3");
}

}  // namespace
}  // namespace mayfly
