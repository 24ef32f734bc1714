"""The tables of the documentation are what the program computes, and agree with the published figures."""

import cost_tables
import pytest
import study_page

# Millions of parameters and MACs by the paper's convention: standard, FALCON of rank 1, 2, ..., DSConv where known.
PUBLISHED = {
    "vgg19": [(20.30, 398.70), (2.55, 47.23), (4.83, 94.20), (7.10, 141.16), (9.37, 188.13), (2.55, 48.02)],
    "resnet34": [(21.29, 292.52), (2.61, 46.33), (5.02, 88.21), (7.43, 130.08), (9.84, 171.96), (2.61, 38.41)],
    "vgg16_bn": [(138.37, 15483.82), (125.32, 1950.75), (127.00, 3777.86), (128.67, 5604.97)],
    "resnet18": [(11.69, 1814.07), (1.96, 395.40), (3.21, 653.00), (4.47, 910.61)],
}


@pytest.fixture(scope="module")
def counted():
    return list(cost_tables.rows())


def test_the_differences_lead_to_the_published_figures(counted):
    for name, published in PUBLISHED.items():
        found = [(row.published_parameters / 1e6, row.published_macs / 1e6) for row in counted if row.name == name]
        assert [(round(parameters, 2), round(macs, 2)) for parameters, macs in found] == published


def test_the_tables_of_the_method_are_fresh():
    text = cost_tables.METHOD.read_text()
    assert "| vgg19 | FALCON k=4 |" in text
    assert cost_tables.with_tables(text) == text


def test_the_table_of_units_is_fresh():
    text = cost_tables.OF_UNITS.read_text()
    assert "| `falcon_branch` |" in text
    assert cost_tables.with_tables(text, cost_tables.units_table) == text


def test_the_tables_of_the_study_are_fresh():
    text = study_page.PAGE.read_text()
    assert "cells of fashion-mnist are made" in text
    assert study_page.with_tables(text) == text
