# With sft_steps of tests/oracle_sft, which comes later in the alphabet.
if(TARGET mayfly_trainer)
  mayfly_oracle(families oracle_families/families_test.py)
endif()
